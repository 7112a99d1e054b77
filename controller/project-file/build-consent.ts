/**
 * Whether a Dockerfile may be built as it is now. A builder is held by no policy, so the text that a person had before them
 * is the one that counts: once one of a place has been built, another needs a yes of its own, since a guest may have written it.
 */
import { createHash } from 'node:crypto';
import { SandError } from '../errors.ts';
import type { BuildPlan } from '../images/prepared.ts';
import { approvedAt, askOnTerminal, rememberApproval } from '../run/approval.ts';

export interface BuildConsentRequest {
  readonly build: BuildPlan;
  /** Whether the person has just said yes to this very text, with the file that names it or by a command of its own. */
  readonly isConsented: boolean;
  /** Where approvals are kept; no guest sees it. */
  readonly folder: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
}

/** Raises `build-unapproved`. */
export async function requireBuildConsent({
  build,
  isConsented,
  folder,
  environ,
}: BuildConsentRequest): Promise<void> {
  const { path } = build;
  const digest = buildDigest(build);
  const before = approvedAt(folder, path);
  if (before.includes(digest)) return;
  const isFirst = before.length === 0;
  const because = ['it is built outside the policy, with a network of the builder’s own'];
  if (isConsented || isFirst || (await askOnTerminal(path, because, environ, CHANGED))) {
    rememberApproval(folder, path, digest);
    return;
  }
  throw new SandError(
    'build-unapproved',
    `${path} has changed since it was approved, and is built outside the policy`,
    'read it, then run `sand image build`, which approves and builds it as it is, or run once on a terminal and say yes',
    { details: { path, digest } },
  );
}

const CHANGED = 'has changed since it was approved';

function buildDigest({ path, text }: BuildPlan): string {
  const named = { kind: 'build', path, text: createHash('sha256').update(text).digest('hex') };
  return `sha256:${createHash('sha256').update(JSON.stringify(named)).digest('hex')}`;
}
