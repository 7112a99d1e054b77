/** Looks at what stands at a path that `--image` names: a folder, an OCI layout, or which kind of archive. Reads only headers. */
import { closeSync, lstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { IMAGE_LIMITS } from './limits.ts';
import type { PathKind } from './reference.ts';

const MEMBER_BYTES = 512;

/** What stands at a path that `--image` names; an archive's kind is told by the names of its members. */
export function lookAtPath(path: string): PathKind {
  try {
    if (statSync(path).isDirectory()) return isFile(join(path, 'oci-layout')) ? 'oci-layout' : 'folder';
    return archiveKind(path);
  } catch {
    return 'absent';
  }
}

function isFile(path: string): boolean {
  try {
    return lstatSync(path).isFile();
  } catch {
    return false;
  }
}

/** Both writers put their file at the top; one that has both is read by the OCI one. */
function archiveKind(path: string): PathKind {
  const descriptor = openSync(path, 'r');
  const header = Buffer.alloc(MEMBER_BYTES);
  let kind: PathKind = 'file';
  try {
    let at = 0;
    for (let member = 0; member < IMAGE_LIMITS.archiveMembers; member += 1) {
      if (readSync(descriptor, header, 0, MEMBER_BYTES, at) < MEMBER_BYTES) break;
      const { name, bytes } = parseTarHeader(header);
      if (name === null) break;
      if (name === 'oci-layout') return 'oci-archive';
      if (name === 'manifest.json') kind = 'docker-archive';
      at += MEMBER_BYTES + Math.ceil(bytes / MEMBER_BYTES) * MEMBER_BYTES;
    }
  } finally {
    closeSync(descriptor);
  }
  return kind;
}

/** Of the ustar form; null where the magic or the size does not read. */
function parseTarHeader(header: Buffer): { readonly name: string | null; readonly bytes: number } {
  const size = /^[0-7]+/.exec(header.toString('latin1', 124, 136))?.[0];
  if (header.toString('latin1', 257, 262) !== 'ustar' || size === undefined) return { name: null, bytes: 0 };
  const name = header.toString('latin1', 0, 100).replace(/\0.*$/s, '').replace(/^\.\//, '');
  return { name, bytes: Number.parseInt(size, 8) };
}
