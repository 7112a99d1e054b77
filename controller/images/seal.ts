/** What is left of an unpacked image: folders, files without setuid, and symlinks that nobody follows on the host. */
import { chmodSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { invalid } from './config.ts';
import { IMAGE_LIMITS } from './limits.ts';

/**
 * Takes setuid and setgid away, lets the caller into every folder, and finds what no unpacking of files leaves.
 * Follows no link.
 */
export function sealTree(root: string): void {
  // A whiteout named after its parent makes umoci 0.4.7 remove the folder that it unpacks into.
  if (lstatSync(root, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw invalid('its layers remove the folder that they are unpacked into');
  const open = [root];
  let seen = 0;
  for (const at of open) {
    chmodSync(at, (lstatSync(at).mode & 0o777) | 0o700);
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      seen += 1;
      // Fail closed: what was not looked at is not given to a guest.
      if (seen > IMAGE_LIMITS.entries) throw invalid('it holds more files than sand looks at');
      const path = join(at, entry.name);
      if (entry.isDirectory()) open.push(path);
      else if (entry.isFile()) withoutSetuid(path);
      else if (!entry.isSymbolicLink()) rmSync(path);
    }
  }
}

function withoutSetuid(path: string): void {
  const { mode } = lstatSync(path);
  if ((mode & 0o7000) !== 0) chmodSync(path, mode & 0o777);
}
