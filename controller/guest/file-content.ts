/**
 * What a file or folder holds, as one digest: for files that a mount does not keep from a guest, as where the host's file system finds
 * them by other capitals as well. Reads within bounds; what a change means is the asker's.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { join } from 'node:path';

/** Hooks and settings are a few hundred files at the most. */
const ENTRIES = 10_000;
const CONTENT_BYTES = 64 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

interface Budget {
  entries: number;
  bytes: number;
}

/** Null where nothing is there, and where it is more than is read: then nobody can say whether it changed. */
export function contentOf(path: string): string | null {
  const hash = createHash('sha256');
  try {
    return take(path, hash, { entries: ENTRIES, bytes: CONTENT_BYTES }) ? hash.digest('hex') : null;
  } catch {
    return null;
  }
}

/** False: it is more than is read. */
function take(path: string, hash: Hash, budget: Budget): boolean {
  budget.entries -= 1;
  if (budget.entries < 0) return false;
  const stat = lstatSync(path);
  hash.update(`${stat.mode} `);
  if (stat.isSymbolicLink()) hash.update(`${readlinkSync(path)}\0`);
  else if (stat.isFile()) return takeFile(path, hash, budget);
  else if (stat.isDirectory()) {
    const names = readdirSync(path).sort();
    for (const name of names) {
      hash.update(`${name}\0`);
      if (!take(join(path, name), hash, budget)) return false;
    }
    hash.update('/');
  }
  return true;
}

function takeFile(path: string, hash: Hash, budget: Budget): boolean {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size } = fstatSync(descriptor);
    hash.update(`${size} `);
    const bytes = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let read = readSync(descriptor, bytes); read > 0; read = readSync(descriptor, bytes)) {
      budget.bytes -= read;
      if (budget.bytes < 0) return false;
      hash.update(bytes.subarray(0, read));
    }
    return true;
  } finally {
    closeSync(descriptor);
  }
}
