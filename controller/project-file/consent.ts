/**
 * Whether a project file that was merely found may be used: when it asks for no more than a run without it, or once a
 * person has said yes to that very content and to what it names.
 */
import { createHash } from 'node:crypto';
import { SandError } from '../errors.ts';
import { askOnTerminal, isApproved, rememberApproval } from '../run/approval.ts';
import type { ProjectFile } from './model.ts';
import { type ProjectFacts, wideningOf } from './widening.ts';

export interface ConsentRequest {
  readonly path: string;
  /** Of the file, as they were decoded. */
  readonly bytes: Uint8Array;
  readonly file: ProjectFile;
  readonly facts: ProjectFacts;
  /** Where approvals are kept; no guest sees it. */
  readonly folder: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
}

/** Raises `project-unapproved`. */
export async function requireProjectConsent(request: ConsentRequest): Promise<void> {
  const { path, facts, folder, environ } = request;
  const because = wideningOf(request.file, facts);
  if (because.length === 0) return;
  const digest = consentDigest(request, because);
  if (isApproved(folder, digest)) return;
  const asked = because.map((sentence) => `it ${sentence}`);
  if (await askOnTerminal(path, asked, environ, 'asks for more than a run without it')) {
    rememberApproval(folder, path, digest);
    return;
  }
  throw new SandError(
    'project-unapproved',
    `${path} was found, not named, and asks for more than a run without it: ${asked.join('; ')}`,
    `read it, then name it with --project-file ${path}, run once on a terminal and say yes, or leave it out with --no-project-file`,
    { details: { path, digest, because } },
  );
}

/** Of the file and of what it names: where its paths lead, and what its policies and authorities say. */
function consentDigest({ bytes, file, facts }: ConsentRequest, because: readonly string[]): string {
  const { sources, authorities, secrets, image, build, policy } = facts;
  const mounts = file.mounts.map(({ value }, at) => ({ ...value, source: sources[at] ?? null }));
  const text = createHash('sha256').update(bytes).digest('hex');
  const named = {
    kind: 'project',
    text,
    because,
    mounts,
    authorities,
    secrets,
    image,
    build: build === null ? null : { path: build.path, digest: build.digest, context: build.context },
    policy: policy?.digest ?? null,
  };
  return `sha256:${createHash('sha256').update(JSON.stringify(named)).digest('hex')}`;
}
