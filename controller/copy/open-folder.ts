/**
 * A folder of the host that is held open, and calls of `fs` on what lies in it, whoever renames folders on the way meanwhile: what
 * openat(2) is for, which Node does not have. Links are not followed; which ones may be is for `host-place.ts`.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export interface OpenFolder {
  /** Calls with a path to `name` in this very folder. It holds during the call alone. */
  at<T>(name: string | Buffer, call: (path: Buffer) => T): T;
  /** A folder in it, `.` and `..` among them; a link to one raises. Whoever gets it closes it. */
  open(name: string | Buffer): OpenFolder;
  /** Null where nothing is there. */
  stat(name: string | Buffer): Stats | null;
  /** Where it is now, without links. */
  where(): string;
  close(): void;
}

/** `/`, from which every other folder is opened. */
export function openTop(platform: NodeJS.Platform = process.platform): OpenFolder {
  const top = openSync('/', FOLDER);
  return platform === 'darwin' ? enteredFolder(top, '/') : heldFolder(top);
}

/** Linux: /proc/self/fd leads to what is open. */
function heldFolder(descriptor: number): OpenFolder {
  const here = `/proc/self/fd/${descriptor}`;
  const folder: OpenFolder = {
    at: (name, call) => call(Buffer.concat([Buffer.from(`${here}/`), Buffer.from(name)])),
    open: (name) => heldFolder(folder.at(name, (path) => openSync(path, FOLDER))),
    stat: (name) => folder.at(name, statOf),
    where: () => readlinkSync(here),
    close: () => closeSync(descriptor),
  };
  return folder;
}

/**
 * Elsewhere: this process goes into the folder, sees that it is the one that is open, and names what lies in it from there. It has
 * one working directory, so nothing that waits is called; and a folder that was moved is not found, which raises.
 */
function enteredFolder(descriptor: number, path: string): OpenFolder {
  const folder: OpenFolder = {
    at: (name, call) =>
      inside(descriptor, path, () => call(Buffer.concat([Buffer.from('./'), Buffer.from(name)]))),
    open(name) {
      const text = Buffer.from(name).toString('utf8');
      const next = folder.at(name, (way) => openSync(way, FOLDER));
      return enteredFolder(next, text === '..' ? dirname(path) : join(path, text));
    },
    stat: (name) => folder.at(name, statOf),
    where: () => inside(descriptor, path, () => process.cwd()),
    close: () => closeSync(descriptor),
  };
  return folder;
}

function inside<T>(descriptor: number, path: string, call: () => T): T {
  const before = workingFolderOr('/');
  process.chdir(path);
  try {
    // Fail closed: somebody put another folder, or a link to one, where this one was.
    if (!isSame(statSync('.', { bigint: true }), fstatSync(descriptor, { bigint: true })))
      throw Object.assign(new Error(`${path} is another folder than it was`), { code: 'ESTALE' });
    return call();
  } finally {
    comeBack(before);
  }
}

function comeBack(path: string): void {
  try {
    process.chdir(path);
  } catch {
    // It has been removed, and no name leads into it any more.
    process.chdir('/');
  }
}

function workingFolderOr(otherwise: string): string {
  try {
    return process.cwd();
  } catch {
    return otherwise;
  }
}

function isSame(a: BigIntStats, b: BigIntStats): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

function statOf(path: Buffer): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}
