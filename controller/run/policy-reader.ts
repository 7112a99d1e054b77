/** Reads policy files and sand's own policy data for the compiler, which has no file system of its own. */
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { FileReading, PolicyReader } from '../../policies/compile.ts';
import { POLICY_LIMITS } from '../../policies/limits.ts';
import { presetDirectory } from '../../policies/presets.ts';

/**
 * `directory` is what relative names on the command line are relative to. With `within`, an absolute real path,
 * nothing outside that folder is read: for a policy that nobody has consented to yet, whose errors quote it.
 */
export function createPolicyReader(directory: string, within: string | null = null): PolicyReader {
  return {
    directory,
    readFile: (path) => (within === null || leadsInto(path, within) ? readPolicyFile(path) : OUTSIDE),
    readData: (name) => {
      try {
        return readFileSync(join(presetDirectory(), name));
      } catch {
        return null;
      }
    },
  };
}

const OUTSIDE: FileReading = {
  kind: 'unreadable',
  detail: 'it lies outside the repository, and nobody has named this policy',
};

/** A path that does not exist leads nowhere, and may be asked for. */
function leadsInto(path: string, folder: string): boolean {
  try {
    return realpathSync.native(path).startsWith(`${folder}/`);
  } catch {
    return true;
  }
}

/** Never waits: a FIFO is opened without blocking, and only regular files are read, up to their bound. */
function readPolicyFile(path: string): FileReading {
  let descriptor: number | null = null;
  try {
    const realPath = realpathSync.native(path);
    descriptor = openSync(realPath, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    if (!fstatSync(descriptor).isFile()) return { kind: 'unreadable', detail: 'it is not a file' };
    return { kind: 'file', realPath, bytes: readBounded(descriptor) };
  } catch (error) {
    const code = error instanceof Error ? String(Reflect.get(error, 'code')) : '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'missing' };
    return { kind: 'unreadable', detail: code === 'ELOOP' ? 'its symbolic links lead in a circle' : code };
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

/** One byte more than the bound at the most, so that the compiler sees that it is too large. */
function readBounded(descriptor: number): Uint8Array {
  const size = Math.min(fstatSync(descriptor).size, POLICY_LIMITS.fileBytes + 1);
  const bytes = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const read = readSync(descriptor, bytes, filled, size - filled, filled);
    if (read === 0) break;
    filled += read;
  }
  return bytes.subarray(0, filled);
}
