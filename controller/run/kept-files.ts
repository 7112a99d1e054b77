/**
 * Policy files in force that a guest could write if their mounts went: not read again, but looked at, so that a person
 * hears that a change is not in force, or that the guest can write the file by now. What counts is `kept-reader.ts`'s.
 */
import { realpathSync, statSync } from 'node:fs';
import type { PolicyInForce } from '../../policies/model.ts';
import { isInReach } from './guest-reach.ts';
import type { PolicyNotice } from './policy-choice.ts';
import { POLL_MS } from './policy-watch.ts';

export interface KeptFiles {
  readonly inForce: PolicyInForce;
  /** Real paths of the folders that the guest can write. */
  readonly writable: readonly string[];
  /** The command that takes them as they are. */
  readonly cure: string;
}

/** Tells each of the two at most once a file, for by then the guest may be the one that changes it. Gives what ends it. */
export function watchKept(
  { inForce, writable, cure }: KeptFiles,
  tell: (notice: PolicyNotice) => void,
): () => void {
  const paths = [inForce.policy, ...inForce.ceilings].flatMap(({ files }) => files);
  const real = paths.filter((path) => isInReach(path, writable)).map(realPath);
  let open = [...new Set(real)].map((path) => ({ path, before: lookAt(path), isTold: false }));
  if (open.length === 0) return () => {};
  const look = () => {
    open = open.filter((file) => {
      const now = lookAt(file.path);
      if (now.identity !== file.before.identity) {
        tell(unprotected(file.path, cure));
        return false;
      }
      if (file.isTold || now.content === file.before.content) return true;
      file.isTold = true;
      tell(unused(file.path, cure));
      return true;
    });
  };
  const timer = setInterval(look, POLL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** The kernel takes the read-only mount away with the file that was there. */
function unprotected(path: string, cure: string): PolicyNotice {
  return {
    code: 'policy-file-unprotected',
    detail: `${path} is another file than it was, so the guest can write it from now on: what it says is not used, the policy in force stays. Look at it, then: ${cure}. Save in place to avoid this (vim: set backupcopy=yes)`,
  };
}

function unused(path: string, cure: string): PolicyNotice {
  return {
    code: 'policy-file-unused',
    detail: `${path} was changed, and is not read again, since it lies where the guest can write: the policy in force stays. Look at it, then: ${cure}`,
  };
}

function lookAt(path: string): { readonly identity: string; readonly content: string } {
  try {
    const stat = statSync(path, { bigint: true });
    return { identity: `${stat.dev}:${stat.ino}`, content: `${stat.size}:${stat.mtimeNs}` };
  } catch {
    return { identity: 'gone', content: '' };
  }
}

function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path;
  }
}
