/**
 * Whether a guest has a say in what a path of the host leads to: the file lies where it can write, or a link on the
 * way does. Looks at the disk as it is now; what is made of the answer is for whoever reads.
 */
import { lstatSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { MountSpec } from '../backends/backend.ts';
import { isAtOrBelow, spelled } from './spelling.ts';

/** As the kernel's own bound (path_resolution(7)). */
const MOST_LINKS = 40;

/** Real paths of what a guest can write, protected files inside apart. */
export function writableFolders(guest: {
  readonly mounts: readonly MountSpec[];
  readonly cache: string | null;
}): readonly string[] {
  const mounted = guest.mounts.filter(({ writable }) => writable).map(({ source }) => source);
  return guest.cache === null ? mounted : [...mounted, guest.cache];
}

/**
 * `path` is absolute, `folders` are real. Where this is false, every step to the file is the host's alone, so that the
 * guest cannot make it true either. Mounts over the file do not count: a save by rename takes them away.
 */
export function isInReach(
  path: string,
  folders: readonly string[],
  platform: NodeJS.Platform = process.platform,
): boolean {
  if (folders.length === 0) return false;
  const spellings = folders.map((folder) => spelled(folder, platform));
  let at = '/';
  let links = 0;
  let ahead = namesOf(path);
  for (let name = ahead.shift(); name !== undefined; name = ahead.shift()) {
    const next = name === '..' ? dirname(at) : join(at, name);
    if (spellings.some((folder) => isAtOrBelow(spelled(next, platform), folder))) return true;
    const value = linkAt(next);
    if (value === 'unknown') return true;
    if (value === null) {
      at = next;
      continue;
    }
    links += 1;
    if (links > MOST_LINKS) return true;
    ahead = [...namesOf(value.to), ...ahead];
    if (value.to.startsWith('/')) at = '/';
  }
  return false;
}

/** Null: no link, or nothing at all. Fail closed: what cannot be looked at may lead anywhere. */
function linkAt(path: string): { readonly to: string } | 'unknown' | null {
  try {
    const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    return isLink ? { to: readlinkSync(path) } : null;
  } catch {
    return 'unknown';
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
