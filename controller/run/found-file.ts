/**
 * Looks for a file of sand's own upward from a folder to the repository's root: where it stands, and whether it is the
 * caller's. What is done with one that is not, and what a found file may decide, is for its reader.
 */
import { lstatSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export interface FoundFile {
  /** As it was looked for, links not followed. */
  readonly path: string;
  /** Real path of the repository's root; outside a repository, of the folder that the search began in. */
  readonly repository: string;
  /** False: it belongs to another user, who has not been asked for a word. */
  readonly isOwn: boolean;
}

/** The nearest of them; null where none is. */
export function findUpward(from: string, name: string): FoundFile | null {
  const start = resolve(from);
  const root = repositoryRoot(start);
  for (let folder = start; ; folder = dirname(folder)) {
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined) {
      return { path, repository: realpathSync.native(root), isOwn: stat.uid === process.getuid?.() };
    }
    if (folder === root) return null;
  }
}

/** The folder that holds `.git`, at or above this one; outside a repository, the folder itself. */
function repositoryRoot(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    if (lstatSync(join(folder, '.git'), { throwIfNoEntry: false }) !== undefined) return folder;
    if (dirname(folder) === folder) return start;
  }
}
