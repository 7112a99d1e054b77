/**
 * A way to a folder that is short enough for the path of a socket: on Linux by the folder's own descriptor, elsewhere by a link
 * in a folder of nobody else's. Who may use the folder is for whoever opened it.
 */
import { fstatSync, mkdtempSync, rmdirSync, statSync, symlinkSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SOCKET_PATH_BYTES } from './protocol.ts';

export interface ShortPlace {
  readonly path: string;
  /** The socket is closed by then, or connected to. */
  release(): void;
}

/** `descriptor` is the folder's, and stays open meanwhile. */
export function shortPlace(directory: string, descriptor: number, name: string): ShortPlace {
  if (process.platform === 'darwin') return linkedPlace(directory, descriptor, name);
  return { path: `/proc/self/fd/${descriptor}/${name}`, release: () => {} };
}

/** A name that nobody can take away or change: the folder around it is open to its owner alone, as `mkdtemp` makes it. */
const LINK = 'd';

/** `parents` are tried in turn. The link may outlive a process that is killed; it leads where it always led. */
export function linkedPlace(
  directory: string,
  descriptor: number,
  name: string,
  parents: readonly string[] = [tmpdir(), '/tmp'],
): ShortPlace {
  const parent = parents.find((folder) => lengthBelow(folder, name) <= SOCKET_PATH_BYTES);
  if (parent === undefined)
    throw new Error(
      `no folder for temporary files has a path that is short enough for a socket: set TMPDIR or XDG_STATE_HOME to one`,
    );
  const folder = mkdtempSync(join(parent, 'sand-'));
  const link = join(folder, LINK);
  const release = () => {
    unlinkSync(link);
    rmdirSync(folder);
  };
  symlinkSync(directory, link);
  const [meant, reached] = [fstatSync(descriptor, { bigint: true }), statSync(link, { bigint: true })];
  // Fail closed: the folder was replaced by another since it was looked at.
  if (meant.dev !== reached.dev || meant.ino !== reached.ino) {
    release();
    throw new Error(`${directory} is another folder than it was`);
  }
  return { path: join(link, name), release };
}

/** With the six characters that `mkdtemp` adds. */
function lengthBelow(parent: string, name: string): number {
  return Buffer.byteLength(join(parent, 'sand-XXXXXX', LINK, name));
}
