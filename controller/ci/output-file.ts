/**
 * Files that `sand ci` writes on the host when the guest has ended. A guest may have written the folder, so the place is
 * settled before it starts, and what stands there then is replaced, never written through.
 */
import {
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { SandError } from '../errors.ts';
import { usage } from '../run/options.ts';

export interface OutputPlace {
  /** As the caller wrote it. */
  readonly named: string;
  /** Absolute; of its folder the real path. */
  readonly path: string;
  readonly folder: string;
  /** Device and number of the folder. */
  readonly identity: string;
}

/** Inside the working directory no symlink is followed: a guest may have made it. Raises `usage`. */
export function planOutput(flag: string, named: string, cwd: string): OutputPlace {
  const written = resolve(cwd, named);
  const folder = realFolder(dirname(written));
  if (folder === null)
    throw usage(`${flag} ${named}: there is no such folder`, `make it: mkdir -p ${dirname(named)}`);
  const here = realpathSync.native(cwd);
  const inside = [cwd, here].find((base) => written.startsWith(`${base}${sep}`));
  if (inside !== undefined && folder !== resolve(here, dirname(written).slice(inside.length + 1)))
    throw usage(`${flag} ${named}: its folder is a symlink`, 'name the folder that is meant');
  const path = join(folder, basename(written));
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat !== undefined && !stat.isFile())
    throw usage(`${flag} ${named} is no regular file`, 'name another file, or write - for standard output');
  return { named, path, folder, identity: identityOf(folder) };
}

function realFolder(path: string): string | null {
  try {
    const real = realpathSync.native(path);
    return statSync(real).isDirectory() ? real : null;
  } catch {
    return null;
  }
}

function identityOf(folder: string): string {
  const { dev, ino } = statSync(folder);
  return `${dev}:${ino}`;
}

/** As a whole: there is the old file or the new one. A link that stands there now is replaced itself. Raises `output-failed`. */
export function writeOutput(place: OutputPlace, text: string): void {
  const fresh = `${place.path}.${process.pid}.new`;
  let isMade = false;
  try {
    // Fail closed: a folder that the guest has put in its place may lead anywhere.
    if (realFolder(place.folder) !== place.folder || identityOf(place.folder) !== place.identity)
      throw new Error('its folder is no longer the one that it was');
    const descriptor = openSync(fresh, 'wx', 0o644);
    isMade = true;
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(fresh, place.path);
  } catch (error) {
    if (isMade) rmSync(fresh, { force: true });
    const message = error instanceof Error ? error.message : String(error);
    throw new SandError(
      'output-failed',
      `${place.named} cannot be written: ${message}`,
      'mend its folder, or name another file',
      { cause: error },
    );
  }
}
