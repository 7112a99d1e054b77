/**
 * Protected files, looked at again when the guest has ended. What no mount could hold, since it did not exist, and
 * the guest made, is moved aside, so that the host neither runs nor trusts it before a person has looked; what
 * changed otherwise is told.
 */
import { lstatSync, renameSync } from 'node:fs';
import type { Observation } from '../backends/backend.ts';
import { contentOf } from './file-content.ts';
import { identityOf, stateOf } from './file-state.ts';
import type { ProtectedFile } from './protected-files.ts';

/** Ends the name of what was moved aside; no tool reads a file of such a name. */
export const ASIDE_SUFFIX = '.made-by-guest';

export function compareWatched(watched: readonly ProtectedFile[]): readonly Observation[] {
  return watched.flatMap(({ path, root, state, identity, content }): readonly Observation[] => {
    const now = stateOf(path);
    const isReplaced = identity !== undefined && identityOf(path) !== identity;
    if (now === state && isReplaced) return [state === 'symlink' ? relinked(path) : replaced(path)];
    if (now === state) return content === undefined || isSameContent(content, path) ? [] : [respelled(path)];
    if (state !== 'absent')
      return [{ code: 'protected-file-changed', detail: `${path} is no longer the ${state} that it was` }];
    // Never through a link that the guest put above it: what lies behind one is not the guest's.
    const made = linkBetween(root, path) ?? path;
    const aside = freeName(made);
    try {
      renameSync(made, aside);
      return [
        { code: 'protected-file-created', detail: `${made} was made by the guest and moved to ${aside}` },
      ];
    } catch {
      return [
        {
          code: 'protected-file-created',
          detail: `${made} was made by the guest; look at it before the host uses it`,
        },
      ];
    }
  });
}

/** The kernel took the read-only mount away with the file that was there; see SECURITY.md. */
function replaced(path: string): Observation {
  const detail = `${path} was replaced on the host while the guest ran, and the guest could write it since; look at it before the host uses it`;
  return { code: 'protected-file-replaced', detail };
}

/** No mount holds a symlink, so this may have been the guest. */
function relinked(path: string): Observation {
  return { code: 'protected-file-changed', detail: `${path} is another symlink than it was` };
}

/** Fail closed: what could not be read whole, before or now, counts as another. */
function isSameContent(before: string | null, path: string): boolean {
  return before !== null && contentOf(path) === before;
}

/** Told, and left where it is: it may have been the host, which goes on using it. */
function respelled(path: string): Observation {
  const detail = `${path} holds something else than it did, or too much to tell; on this file system a guest can reach it by other capitals, which no mount holds; look at it before the host uses it`;
  return { code: 'protected-file-changed', detail };
}

/** The outermost symlink below `root` that the way to `path` goes through, `path` itself apart. */
export function linkBetween(root: string, path: string): string | null {
  const folders = path
    .slice(root.length + 1)
    .split('/')
    .slice(0, -1);
  const ways = folders.map((_, at) => `${root}/${folders.slice(0, at + 1).join('/')}`);
  return ways.find((way) => lstatSync(way, { throwIfNoEntry: false })?.isSymbolicLink() === true) ?? null;
}

/** Bounded: past it the last name is overwritten, which loses only what guests made. */
export function freeName(path: string): string {
  for (let count = 1; count < 100; count++) {
    const name = `${path}${ASIDE_SUFFIX}${count === 1 ? '' : `-${count}`}`;
    if (stateOf(name) === 'absent') return name;
  }
  return `${path}${ASIDE_SUFFIX}`;
}
