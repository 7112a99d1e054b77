/**
 * Watches the policy files in force, but for those that a guest has a say in, and has them read again when one
 * changes. Decides when to read; what counts of what is read is `kept-reader.ts`'s, what a new policy does the gateway's.
 */
import { statSync } from 'node:fs';
import type { PolicyInForce } from '../../policies/model.ts';
import { isInReach } from './guest-reach.ts';
import type { PolicyReread } from './policy-choice.ts';

/** A change is in force well within a second, and a stat of a few files costs nothing. */
export const POLL_MS = 250;

export interface WatchedPolicy {
  readonly inForce: PolicyInForce;
  readonly reread: () => PolicyReread;
}

/** `writable`: real paths of the folders that the guest can write. Calls `changed` one at a time, and never for files that read the same as before. Gives what ends it. */
export function watchPolicy(
  { inForce, reread }: WatchedPolicy,
  writable: readonly string[],
  changed: (reread: PolicyReread) => Promise<void>,
): () => void {
  let files = watchable(inForce, writable);
  if (files.length === 0) return () => {};
  let seen = fingerprint(files);
  let digest = digestOf(inForce);
  let isBusy = false;
  const look = async (): Promise<void> => {
    const now = fingerprint(files);
    if (isBusy || now === seen) return;
    isBusy = true;
    seen = now;
    try {
      const result = reread();
      if (result.ok && digestOf(result.inForce) === digest) return;
      if (result.ok) {
        digest = digestOf(result.inForce);
        files = watchable(result.inForce, writable);
        seen = fingerprint(files);
      }
      await changed(result);
    } finally {
      isBusy = false;
    }
  };
  const timer = setInterval(() => void look().catch(() => {}), POLL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Code and sentence for the log and the person. */
export function describeReload(reread: PolicyReread): { readonly code: string; readonly detail: string } {
  if (reread.ok) {
    return {
      code: 'policy-reloaded',
      detail: `the policy was read again: ${reread.inForce.policy.digest} is in force`,
    };
  }
  return {
    code: 'policy-reload-refused',
    detail: `the changed policy is not used, the last good one stays: ${reread.problem}`,
  };
}

function watchable({ policy, ceilings }: PolicyInForce, writable: readonly string[]): readonly string[] {
  const files = [policy, ...ceilings].flatMap((layer) => layer.files);
  return files.filter((path) => !isInReach(path, writable));
}

function digestOf({ policy, ceilings }: PolicyInForce): string {
  return [policy, ...ceilings].map(({ digest }) => digest).join(' ');
}

/** Changes with the content, as far as a file system tells; a file that is gone is a change as well. */
function fingerprint(files: readonly string[]): string {
  return files
    .map((path) => {
      const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
      return stat === undefined
        ? 'gone'
        : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
    })
    .join('|');
}
