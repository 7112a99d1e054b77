/**
 * The one comment on a pull request: found again by a hidden marker, written anew where there is one, removed when there is
 * nothing to say. Whatever the API does is a notice, never a failure of the job.
 */
import { createHash } from 'node:crypto';
import { LIMITS } from './limits.ts';
import { list, numberOrNull, objectOf, stringOrNull } from './report.ts';

export interface PullRequest {
  readonly apiUrl: string;
  readonly repository: string;
  readonly number: number;
}

export interface CommentRequest {
  readonly pull: PullRequest;
  readonly token: string;
  /** Tells this comment from those of other uses of the action. */
  readonly key: string;
  /** Null: there is nothing to say. */
  readonly body: string | null;
  readonly fetch: typeof fetch;
}

export type CommentOutcome =
  | { readonly kind: 'created' | 'updated' | 'removed' | 'unneeded' }
  | { readonly kind: 'failed'; readonly why: string };

/** No text of a workflow ends it. */
export function markerOf(key: string): string {
  return `<!-- sand-egress ${createHash('sha256').update(key).digest('hex').slice(0, 32)} -->`;
}

export async function runComment(request: CommentRequest): Promise<CommentOutcome> {
  try {
    return await writeComment(request);
  } catch (error) {
    return { kind: 'failed', why: error instanceof Error ? error.message : String(error) };
  }
}

async function writeComment(request: CommentRequest): Promise<CommentOutcome> {
  const { pull, key, body } = request;
  const marker = markerOf(key);
  const issue = `/repos/${pull.repository}/issues/${pull.number}/comments`;
  const own = await findOwn(request, issue, marker);
  if (body === null) {
    if (own === null) return { kind: 'unneeded' };
    await callApi(request, 'DELETE', commentPath(pull, own));
    return { kind: 'removed' };
  }
  const text = { body: `${marker}\n${body}` };
  if (own === null) await callApi(request, 'POST', issue, text);
  else await callApi(request, 'PATCH', commentPath(pull, own), text);
  return { kind: own === null ? 'created' : 'updated' };
}

function commentPath({ repository }: PullRequest, id: number): string {
  return `/repos/${repository}/issues/comments/${id}`;
}

async function findOwn(request: CommentRequest, issue: string, marker: string): Promise<number | null> {
  for (let page = 1; page <= LIMITS.commentPages; page += 1) {
    const comments = list(await callApi(request, 'GET', `${issue}?per_page=100&page=${page}`));
    const own = comments.find((comment) => isOwn(comment, marker));
    if (own !== undefined) return numberOrNull(objectOf(own)?.id);
    if (comments.length < 100) break;
  }
  return null;
}

/** Anybody can write the marker into a comment of theirs; it is ours where somebody who may write to the repository, or an app, did. */
export function isOwn(value: unknown, marker: string): boolean {
  const comment = objectOf(value);
  const isTrusted =
    objectOf(comment?.user)?.type === 'Bot' ||
    ['OWNER', 'MEMBER', 'COLLABORATOR'].includes(stringOrNull(comment?.author_association) ?? '');
  return isTrusted && (stringOrNull(comment?.body) ?? '').startsWith(marker);
}

async function callApi(
  { pull, token, fetch: send }: CommentRequest,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const response = await send(`${pull.apiUrl}${path}`, {
    method,
    headers: {
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'user-agent': 'sand-egress',
      'x-github-api-version': '2022-11-28',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    // The token goes to the API that the runner names, and nowhere that one sends it on to.
    redirect: 'error',
    signal: AbortSignal.timeout(LIMITS.apiMs),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} answered ${response.status}`);
  return text === '' ? null : JSON.parse(text);
}
