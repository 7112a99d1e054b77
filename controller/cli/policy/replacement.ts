/** Writes a file anew as a whole: at every moment there is the old one or the new one, and its mode stays. */
import {
  closeSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { SandError } from '../../errors.ts';

const ORDINARY_MODE = 0o644;

/** Through a symlink the file behind it is replaced. Raises `file-invalid` where the folder cannot be written. */
export function replaceFile(path: string, text: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  const target = stat === undefined ? path : realpathSync(path);
  const fresh = `${target}.${process.pid}.new`;
  try {
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
