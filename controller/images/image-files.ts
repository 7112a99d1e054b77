/** Reads below the root of an image on the host, whose links are anybody's making: nothing outside it, no device, never much. */
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
import { type LookInImage, resolveInImage } from './image-path.ts';

export function lookBelow(root: string): LookInImage {
  return (path) => {
    const at = join(root, path);
    try {
      const stat = lstatSync(at);
      if (stat.isSymbolicLink()) return { kind: 'link', value: readlinkSync(at) };
      if (stat.isDirectory()) return { kind: 'folder' };
      return { kind: stat.isFile() ? 'file' : 'other' };
    } catch {
      return null;
    }
  };
}

/** Null where there is no such file in the image; cut after `bytes`. */
export function readImageText(root: string, path: string, bytes: number): string | null {
  const place = resolveInImage(path, lookBelow(root));
  if (place?.entry?.kind !== 'file') return null;
  // A link or FIFO that took the file's place meanwhile is neither followed nor waited for.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let descriptor: number;
  try {
    descriptor = openSync(join(root, place.path), flags);
  } catch {
    return null;
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return null;
    const buffer = Buffer.alloc(Math.min(stat.size, bytes));
    return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** Names in a folder of the image; none where it is no folder. */
export function namesInImage(root: string, path: string): readonly string[] {
  const place = resolveInImage(path, lookBelow(root));
  if (place?.entry?.kind !== 'folder') return [];
  try {
    return readdirSync(join(root, place.path));
  } catch {
    return [];
  }
}
