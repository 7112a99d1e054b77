/** What stands at a path of the host, as far as protecting it wants to know. Reads only. */
import { lstatSync, realpathSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';

export type FileState = 'absent' | 'file' | 'folder' | 'symlink';

/** A file behind a symlinked folder counts as a symlink: a mount there would open the folder that it leads to. */
export function stateOf(path: string): FileState {
  const stat = statOf(path);
  if (stat === null) return 'absent';
  if (stat.isSymbolicLink() || isBehindLink(path)) return 'symlink';
  return stat.isDirectory() ? 'folder' : 'file';
}

/** Null where nothing is there. */
export function identityOf(path: string): string | null {
  const stat = statOf(path);
  return stat === null ? null : `${stat.dev}:${stat.ino}`;
}

/** By what lies on the way: its real path may differ by the spelling alone, where a file system tells no capitals apart. */
function isBehindLink(path: string): boolean {
  for (let at = dirname(path); dirname(at) !== at; at = dirname(at))
    if (statOf(at)?.isSymbolicLink() === true) return true;
  return false;
}

/** As it is written on the disk, capitals and all. */
export function realPath(path: string): string | null {
  try {
    return realpathSync.native(path);
  } catch {
    return null;
  }
}

function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
}
