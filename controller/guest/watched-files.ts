/**
 * Protected files, looked at again when the guest has ended. What no mount could hold, since it did not exist, and
 * the guest made, is moved aside, so that the host neither runs nor trusts it before a person has looked; what
 * changed otherwise is told.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, renameSync } from 'node:fs';
import type { Observation } from '../backends/backend.ts';
import { shellWord } from '../process/shell-word.ts';
import { contentOf } from './file-content.ts';
import { identityOf, stateOf } from './file-state.ts';
import type { ProtectedFile } from './protected-files.ts';

/** Ends the name of what was moved aside; no tool reads a file of such a name. */
export const ASIDE_SUFFIX = '.made-by-guest';

/** Ends the name that a version from before gets where somebody takes the later one back. */
const BEFORE_SUFFIX = '.before-guest';

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
      despiteRights(root, made, () => renameSync(made, aside));
      return [
        {
          code: 'protected-file-created',
          detail: `${made} was made by the guest and moved to ${aside}; if you made it: ${takeBack(made, aside)}`,
        },
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

/**
 * A guest writes as the host's own user, so it could have taken that user's right to write in the folders above: they get it
 * back, and the deed is tried again.
 */
export function despiteRights<Value>(root: string, path: string, deed: () => Value): Value {
  try {
    return deed();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    for (const folder of [root, ...foldersBetween(root, path)]) {
      const stat = lstatSync(folder, { throwIfNoEntry: false });
      // Never through a link, and from the outside in: none can be looked at before the one above.
      if (stat?.isDirectory() !== true) break;
      if ((stat.mode & 0o700) !== 0o700) chmodSync(folder, (stat.mode & 0o7777) | 0o700);
    }
    return deed();
  }
}

/** The outermost symlink below `root` that the way to `path` goes through, `path` itself apart. */
export function linkBetween(root: string, path: string): string | null {
  const isLink = (way: string) => lstatSync(way, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  return foldersBetween(root, path).find(isLink) ?? null;
}

/** The outermost first. */
function foldersBetween(root: string, path: string): readonly string[] {
  const names = path
    .slice(root.length + 1)
    .split('/')
    .slice(0, -1);
  return names.map((_, at) => `${root}/${names.slice(0, at + 1).join('/')}`);
}

/** Bounded: past it the name is a random one, for what has such a name may be the host's own. */
export function freeName(path: string, suffix: string = ASIDE_SUFFIX): string {
  for (let count = 1; count < 100; count++) {
    const name = `${path}${suffix}${count === 1 ? '' : `-${count}`}`;
    if (stateOf(name) === 'absent') return name;
  }
  return `${path}${suffix}-${randomBytes(8).toString('hex')}`;
}

/** The command that puts what lies at `aside` (null: nothing) in the place of what stands at `path`, which is kept. */
export function takeBack(path: string, aside: string | null): string {
  const before = `mv ${shellWord(path)} ${shellWord(freeName(path, BEFORE_SUFFIX))}`;
  const moves = [
    ...(stateOf(path) === 'absent' ? [] : [before]),
    ...(aside === null ? [] : [`mv ${shellWord(aside)} ${shellWord(path)}`]),
  ];
  return moves.join(' && ');
}
