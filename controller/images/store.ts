/**
 * Images that were unpacked on this machine: one folder each, named by the image's digest, in sand's own cache.
 * A folder of that name is whole, since it got the name last; what was killed before has another name and
 * counts for nothing. Changes no image once it is there.
 */
import { createHash, randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { SandError } from '../errors.ts';
import type { ImageConfig } from './config.ts';
import { isDigest } from './layout.ts';
import { IMAGE_LIMITS } from './limits.ts';

export interface StoredImage {
  /** Of the image's configuration, which names every layer by its digest. */
  readonly digest: string;
  /** As it was asked for when it was unpacked. */
  readonly name: string;
  readonly unpackedAt: string;
  readonly config: ImageConfig;
  /** The root of its files; nobody writes there. */
  readonly root: string;
}

const VERSION = 1;
const RECORD = 'image.json';
/** Of an unpacked image, its files. */
export const ROOT = 'rootfs';
/** Says which digest a source had that has not changed since. */
const SOURCE = 'source-';
const SCRATCH = 'scratch';
const UNFINISHED = '.unfinished-';

/** `$XDG_CACHE_HOME/sand/images`, else below `~/.cache`. */
export function imagesFolder(environ: Readonly<Record<string, string | undefined>>, home: string): string {
  const base = environ.XDG_CACHE_HOME ?? '';
  return join(isAbsolute(base) ? base : join(home, '.cache'), 'sand', 'images');
}

/** Null where it is not there, or was written by another version. */
export function readStoredImage(folder: string, digest: string): StoredImage | null {
  if (!isDigest(digest)) return null;
  const place = join(folder, digest);
  try {
    const record: unknown = JSON.parse(readFileSync(join(place, RECORD), 'utf8'));
    if (!isRecord(record)) return null;
    const { name, unpackedAt, config } = record;
    return { digest, name, unpackedAt, config, root: join(place, ROOT) };
  } catch {
    return null;
  }
}

/** sand's own writing, in a folder that is the caller's alone; held only to its version. */
function isRecord(value: unknown): value is Pick<StoredImage, 'name' | 'unpackedAt' | 'config'> {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === VERSION;
}

export function listStoredImages(folder: string): readonly StoredImage[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names
    .map((name) => readStoredImage(folder, name))
    .filter((image) => image !== null)
    .sort((a, b) => a.unpackedAt.localeCompare(b.unpackedAt));
}

/** A folder of the caller's own, to unpack into; `keep` gives it its name. */
export interface Unpacking {
  readonly place: string;
  /** Another run may have been first: then its image is given, and this one is removed. */
  keep(digest: string, name: string, config: ImageConfig): StoredImage;
  discard(): void;
}

export function createUnpacking(folder: string): Unpacking {
  ensureFolder(folder);
  removeAbandoned(folder);
  const place = join(folder, `${UNFINISHED}${randomUUID()}`);
  mkdirSync(place, { mode: 0o700 });
  return {
    place,
    keep(digest, name, config) {
      const record = { version: VERSION, digest, name, unpackedAt: new Date().toISOString(), config };
      writeFileSync(join(place, RECORD), JSON.stringify(record), { mode: 0o600, flush: true });
      const first = renameOr(place, join(folder, digest));
      if (!first) removeTree(place);
      const stored = readStoredImage(folder, digest);
      if (stored === null) throw unreadable(join(folder, digest));
      return stored;
    },
    discard: () => removeTree(place),
  };
}

function ensureFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Fail closed: others must not reach what is unpacked, setuid programs among it.
  chmodSync(folder, 0o700);
}

/** An empty folder, where the mount namespace of each guest puts that guest's root together: one serves all. */
export function scratchFolder(folder: string): string {
  ensureFolder(folder);
  mkdirSync(join(folder, SCRATCH), { recursive: true, mode: 0o700 });
  return join(folder, SCRATCH);
}

/** Null where that source has not been read, or its image was removed. `source`: all that changes when it does. */
export function readSource(folder: string, source: string): StoredImage | null {
  try {
    return readStoredImage(folder, readFileSync(sourcePath(folder, source), 'utf8'));
  } catch {
    return null;
  }
}

export function writeSource(folder: string, source: string, digest: string): void {
  const unfinished = join(folder, `${UNFINISHED}${randomUUID()}`);
  writeFileSync(unfinished, digest, { mode: 0o600 });
  renameSync(unfinished, sourcePath(folder, source));
}

function sourcePath(folder: string, source: string): string {
  return join(folder, `${SOURCE}${createHash('sha256').update(source).digest('hex')}`);
}

/** False where a folder of that name is there: a rename onto one that is not empty fails. */
function renameOr(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (existsSync(to)) return false;
    throw error;
  }
}

function unreadable(place: string): SandError {
  return new SandError('image-failed', `${place} does not read`, 'remove that folder, and try again');
}

export function removeStoredImage(folder: string, digest: string): void {
  // Renamed first: no run begins with half an image.
  const leaving = join(folder, `${UNFINISHED}${randomUUID()}`);
  renameSync(join(folder, digest), leaving);
  for (const name of readdirSync(folder))
    if (name.startsWith(SOURCE) && readFileSync(join(folder, name), 'utf8') === digest)
      rmSync(join(folder, name));
  removeTree(leaving);
}

function removeAbandoned(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(UNFINISHED)) continue;
    const age = Date.now() - lstatSync(join(folder, name)).mtimeMs;
    if (age > IMAGE_LIMITS.abandonedMs) removeTree(join(folder, name));
  }
}

/** Folders of an image may be without write permission, which holds up all but root. Follows no link. */
export function removeTree(place: string): void {
  const open = lstatSync(place, { throwIfNoEntry: false })?.isDirectory() === true ? [place] : [];
  for (const at of open) {
    if (open.length > IMAGE_LIMITS.entries) break;
    try {
      chmodSync(at, 0o700);
      for (const entry of readdirSync(at, { withFileTypes: true }))
        if (entry.isDirectory()) open.push(join(at, entry.name));
    } catch {
      // What cannot be opened cannot be removed either, which is told below.
    }
  }
  rmSync(place, { recursive: true, force: true });
}
