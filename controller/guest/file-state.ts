/** What stands at a path of the host, as far as protecting it wants to know. Reads only. */
import { lstatSync, realpathSync, type Stats } from 'node:fs';

export type FileState = 'absent' | 'file' | 'folder' | 'symlink';

/** A file behind a symlinked folder counts as a symlink: a mount there would open the folder that it leads to. */
export function stateOf(path: string): FileState {
  const stat = statOf(path);
  if (stat === null) return 'absent';
  if (stat.isSymbolicLink() || realPath(path) !== path) return 'symlink';
  return stat.isDirectory() ? 'folder' : 'file';
}

/** Null where nothing is there. */
export function identityOf(path: string): string | null {
  const stat = statOf(path);
  return stat === null ? null : `${stat.dev}:${stat.ino}`;
}

export function realPath(path: string): string | null {
  try {
    return realpathSync(path);
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
