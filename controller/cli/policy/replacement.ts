/**
 * Writes a file anew as a whole, and its mode stays. At every moment there is the old one or the new one, but for a file
 * that a guest's mount holds.
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { SandError } from '../../errors.ts';
import { isHeld } from '../../policy-file/held-file.ts';

const ORDINARY_MODE = 0o644;

/**
 * Through a symlink the file behind it is replaced. `runs` is the folder of the runs: what a guest's mount
 * keeps from being written there stays in its place, since a rename would shed that mount. Raises `file-invalid` where the folder cannot be written.
 */
export function replaceFile(path: string, text: string, runs: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  const target = stat === undefined ? path : realpathSync.native(path);
  const fresh = `${target}.${process.pid}.new`;
  try {
    if (stat !== undefined && isHeld(runs, target)) {
      overwrite(target, text);
      return;
    }
    // Exclusive, so that nobody's link is written through.
    const descriptor = openSync(fresh, 'wx', (stat?.mode ?? ORDINARY_MODE) & 0o777);
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(fresh, target);
  } catch (error) {
    rmSync(fresh, { force: true });
    const message = error instanceof Error ? error.message : String(error);
    throw new SandError(
      'file-invalid',
      `${path} cannot be written: ${message}`,
      'mend its folder, or name another file',
      {
        cause: error,
      },
    );
  }
}

function overwrite(path: string, text: string): void {
  const descriptor = openSync(path, 'r+');
  try {
    const bytes = Buffer.from(text);
    if (writeSync(descriptor, bytes, 0, bytes.length, 0) !== bytes.length)
      throw new Error('the disk is full');
    ftruncateSync(descriptor, bytes.length);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
