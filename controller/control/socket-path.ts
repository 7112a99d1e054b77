/**
 * Where the control socket of a run lies: in the run's own folder, however long its path is. Decides who may be
 * trusted to have made it; what is said over it is `protocol.ts`'s.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { SOCKET_PATH_BYTES } from './protocol.ts';
import { type ShortPlace, shortPlace } from './short-place.ts';

const SOCKET_NAME = 'control.sock';

export interface SocketPlace {
  /** Short enough for the kernel. */
  readonly path: string;
  /** The same place by its own name. */
  readonly named: string;
  /** Only after it is closed or connected to. */
  release(): void;
}

/** Of a folder that is open to its owner alone; throws for any other, and where no way is short enough. */
export function socketPlace(
  directory: string,
  shorten: (directory: string, descriptor: number, name: string) => ShortPlace = shortPlace,
  bytes: number = SOCKET_PATH_BYTES,
): SocketPlace {
  const named = join(directory, SOCKET_NAME);
  const folder = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const { uid, mode } = fstatSync(folder);
  // Fail closed: Node cannot ask a socket for its peer, so the folder alone keeps everybody else out.
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0) {
    closeSync(folder);
    throw new Error(`${directory} is open to others than its owner`);
  }
  if (Buffer.byteLength(named) <= bytes) {
    closeSync(folder);
    return { path: named, named, release: () => {} };
  }
  try {
    const { path, release } = shorten(directory, folder, SOCKET_NAME);
    return {
      path,
      named,
      release() {
        release();
        closeSync(folder);
      },
    };
  } catch (error) {
    closeSync(folder);
    throw error;
  }
}

/** Whether a socket is there, and of our own making. */
export function isOwnSocket(directory: string): boolean {
  const stat = lstatSync(join(directory, SOCKET_NAME), { throwIfNoEntry: false });
  return stat?.isSocket() === true && stat.uid === process.getuid?.();
}
