/**
 * Makes a tar stream, its end apart, of what lies in one open folder of the host, where a guest may be writing at the same time: every folder is
 * opened on its own, and no link is followed, so that nothing else can be put in the place of what is read. The host's own tar would do
 * this on Linux alone.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
} from 'node:fs';
import { failed } from './host-place.ts';
import { COPY_LIMITS } from './limits.ts';
import type { OpenFolder } from './open-folder.ts';
import { type PackedEntry, tarHeader, tarPadding } from './tar-header.ts';

const READ_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
/** Of a file at a time: what a pipe holds. */
const CHUNK_BYTES = 64 * 1024;
const SLASH = Buffer.from('/');

interface Packing {
  /** As the caller wrote it, for errors. */
  readonly from: string;
  entries: number;
}

/** `name` in `parent`, or with `.` what `parent` holds. What is no file, folder or link is passed over. Raises `copy-failed`. */
export function* packTree(parent: OpenFolder, name: string, from: string): Generator<Buffer> {
  const packing: Packing = { from, entries: 0 };
  if (name === '.') yield* packFolder(parent, Buffer.from('./'), packing);
  else yield* packEntry(parent, Buffer.from(name), Buffer.from('./'), packing);
}

function* packEntry(parent: OpenFolder, name: Buffer, above: Buffer, packing: Packing): Generator<Buffer> {
  const path = Buffer.concat([above, name]);
  packing.entries += 1;
  if (packing.entries > COPY_LIMITS.entries)
    throw failed(packing.from, `more than ${COPY_LIMITS.entries} files`);
  if (path.length > COPY_LIMITS.nameBytes) throw failed(packing.from, 'a path in it is too long');
  const stat = reading(packing, path, () => parent.stat(name));
  // It was there a moment ago, and whoever took it away did not want it copied.
  if (stat === null) return;
  if (stat.isSymbolicLink()) {
    const target = reading(packing, path, () => parent.at(name, (link) => readlinkSync(link, 'buffer')));
    yield tarHeader({ ...entryOf('symlink', path, stat), target });
  } else if (stat.isDirectory()) {
    const folder = reading(packing, path, () => parent.open(name));
    try {
      yield* packFolder(folder, Buffer.concat([path, SLASH]), packing);
    } finally {
      folder.close();
    }
  } else if (stat.isFile()) yield* packFile(parent, name, path, packing);
}

function* packFolder(folder: OpenFolder, path: Buffer, packing: Packing): Generator<Buffer> {
  const stat = reading(packing, path, () => folder.stat('.'));
  if (stat !== null) yield tarHeader(entryOf('folder', path, stat));
  const names = reading(packing, path, () => folder.at('.', (at) => readdirSync(at, { encoding: 'buffer' })));
  for (const name of names) yield* packEntry(folder, name, path, packing);
}

function* packFile(parent: OpenFolder, name: Buffer, path: Buffer, packing: Packing): Generator<Buffer> {
  const descriptor = reading(packing, path, () => parent.at(name, (at) => openSync(at, READ_FILE)));
  try {
    const stat = fstatSync(descriptor);
    // Something else took its name since; a pipe would never end.
    if (!stat.isFile()) return;
    yield tarHeader({ ...entryOf('file', path, stat), size: stat.size });
    for (let left = stat.size; left > 0; ) {
      const bytes = Buffer.allocUnsafe(Math.min(left, CHUNK_BYTES));
      const read = reading(packing, path, () => readSync(descriptor, bytes));
      if (read === 0) throw failed(packing.from, `${path} became shorter while it was read`);
      left -= read;
      yield bytes.subarray(0, read);
    }
    yield tarPadding(stat.size);
  } finally {
    closeSync(descriptor);
  }
}

function entryOf(kind: PackedEntry['kind'], name: Buffer, { mode, mtimeMs }: Stats): PackedEntry {
  const mtimeSeconds = Math.floor(mtimeMs / 1_000);
  return { kind, name, target: Buffer.alloc(0), size: 0, mode: mode & 0o777, mtimeSeconds };
}

function reading<T>({ from }: Packing, path: Buffer, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const code = error instanceof Error ? String(Reflect.get(error, 'code')) : String(error);
    throw failed(from, `${path} cannot be read (${code})`);
  }
}
