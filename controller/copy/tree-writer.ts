/**
 * Writes the entries of a copy below one open folder of the host, where a guest may be writing at the same time: every
 * folder is opened on its own, no link is followed, and a file gets its name when it is whole.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  futimesSync,
  mkdirSync,
  openSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import type { OpenFolder } from './open-folder.ts';
import type { ByteText, TarEntry } from './tar-reader.ts';

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Of folders that the archive does not name before what lies in them. */
const FOLDER_MODE = 0o755;
/** Without it nothing could be put into the folder. */
const OWNER = 0o700;

interface OpenFile {
  readonly folder: OpenFolder;
  readonly descriptor: number;
  readonly draft: string;
  readonly name: Buffer;
  readonly mtimeSeconds: number;
}

export class TreeWriter {
  readonly #root: OpenFolder;
  #file: OpenFile | null = null;

  /** `root` stays the caller's. */
  constructor(root: OpenFolder) {
    this.#root = root;
  }

  /** `path` below the root; empty: the root itself. Of a file: what follows is written into it. Raises errors of the system. */
  begin(entry: TarEntry, path: readonly ByteText[]): void {
    const parts = path.map((part) => Buffer.from(part, 'latin1'));
    const name = parts.pop();
    if (name === undefined) return;
    const folder = this.#folder(parts);
    try {
      if (entry.kind === 'folder') makeFolder(folder, name, entry.mode | OWNER);
      else if (entry.kind === 'symlink') makeLink(folder, name, entry.target);
      else this.#file = openFile(folder, name, entry);
    } finally {
      if (this.#file === null) folder.close();
    }
  }

  write(bytes: Buffer): void {
    if (this.#file === null) return;
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file.descriptor, bytes, at);
  }

  /** The file is whole, and takes its name. */
  finish(): void {
    const file = this.#file;
    if (file === null) return;
    futimesSync(file.descriptor, file.mtimeSeconds, file.mtimeSeconds);
    rename(file.folder, file.draft, file.name);
    this.#file = null;
    release(file);
  }

  /** Takes away a file that did not become whole. Idempotent. */
  close(): void {
    const file = this.#file;
    if (file === null) return;
    this.#file = null;
    try {
      file.folder.at(file.draft, unlinkSync);
    } finally {
      release(file);
    }
  }

  #folder(parts: readonly Buffer[]): OpenFolder {
    let at = this.#root.open('.');
    for (const part of parts) {
      try {
        if (at.stat(part) === null) at.at(part, (path) => mkdirSync(path, { mode: FOLDER_MODE }));
        const next = at.open(part);
        at.close();
        at = next;
      } catch (error) {
        at.close();
        throw error;
      }
    }
    return at;
  }
}

function makeLink(folder: OpenFolder, name: Buffer, target: ByteText): void {
  const draft = draftName();
  folder.at(draft, (path) => symlinkSync(Buffer.from(target, 'latin1'), path));
  try {
    rename(folder, draft, name);
  } catch (error) {
    folder.at(draft, unlinkSync);
    throw error;
  }
}

function openFile(folder: OpenFolder, name: Buffer, { mode, mtimeSeconds }: TarEntry): OpenFile {
  const draft = draftName();
  const descriptor = folder.at(draft, (path) => openSync(path, NEW_FILE, mode));
  return { folder, descriptor, draft, name, mtimeSeconds };
}

function makeFolder(folder: OpenFolder, name: Buffer, mode: number): void {
  // One that is there already takes what comes; a link to one is none.
  if (folder.stat(name)?.isDirectory() === true) return;
  folder.at(name, (path) => mkdirSync(path, { mode }));
}

function rename(folder: OpenFolder, from: string, to: Buffer): void {
  folder.at(from, (source) => folder.at(to, (target) => renameSync(source, target)));
}

function release({ folder, descriptor }: OpenFile): void {
  closeSync(descriptor);
  folder.close();
}

/** In the same folder, so that taking the name is one step. */
function draftName(): string {
  return `.sand-cp-${randomBytes(8).toString('hex')}`;
}
