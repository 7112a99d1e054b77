/**
 * Reads a policy file to change it, and writes it back whole or not at all, but for one that a guest's mount holds. Refuses what is no plain file of the
 * caller's own; what is written is decided by others.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { POLICY_LIMITS } from '../../policies/limits.ts';
import { SandError } from '../errors.ts';

export interface PolicyFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly mode: number;
}

/** Null where there is none. Raises `policy-unwritable`. */
export function openPolicyFile(path: string): PolicyFile | null {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  // Fail closed: a link would lead the writing wherever whoever made it wants.
  if (stat.isSymbolicLink()) throw refused(path, 'is a symbolic link', 'name the file that it leads to');
  if (!stat.isFile()) throw refused(path, 'is not a file', 'name a policy file');
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { uid, mode, size } = fstatSync(descriptor);
      // Fail closed: what another user can change back is no place to keep a decision.
      if (uid !== process.getuid?.())
        throw refused(path, 'belongs to another user', 'change it as that user');
      if (size > POLICY_LIMITS.fileBytes) throw refused(path, 'is larger than any policy', 'split it');
      return { path, bytes: readFileSync(descriptor), mode: mode & 0o7777 };
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw error instanceof SandError ? error : failed(path, error);
  }
}

/**
 * Puts `text` where `before` was read, or where nothing was. `held`: a mount of a living guest keeps it from being
 * written there. Raises `policy-unwritable`, and also when the file has changed since.
 */
export function writePolicyFile(
  path: string,
  before: PolicyFile | null,
  text: string,
  { held }: { readonly held: boolean },
): void {
  const now = openPolicyFile(path);
  if (now === null ? before !== null : before === null || !now.bytes.equals(before.bytes)) {
    throw refused(path, 'has changed since it was read', 'look at it, and try again');
  }
  if (held && before !== null) {
    overwrite(path, text);
    return;
  }
  const fresh = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.new`);
  try {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const descriptor = openSync(fresh, flags, 0o666);
    try {
      if (before !== null) fchmodSync(descriptor, before.mode);
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    // A link is made only where nothing stands, so a file that came up meanwhile is not written over.
    if (before === null) linkSync(fresh, path);
    else renameSync(fresh, path);
  } catch (error) {
    throw failed(path, error);
  } finally {
    rmSync(fresh, { force: true });
  }
}

/** A file that took its place by a rename would shed the mount that keeps a guest from writing it. */
function overwrite(path: string, text: string): void {
  try {
    const descriptor = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const bytes = Buffer.from(text);
      if (writeSync(descriptor, bytes, 0, bytes.length, 0) !== bytes.length)
        throw new Error('the disk is full');
      ftruncateSync(descriptor, bytes.length);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw failed(path, error);
  }
}

function refused(path: string, what: string, hint: string): SandError {
  return new SandError('policy-unwritable', `${path} ${what}, so it is not changed`, hint);
}

function failed(path: string, cause: unknown): SandError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  const hint = 'see to it that the file and its folder can be written, or paste the line by hand';
  return new SandError('policy-unwritable', `${path} cannot be written: ${detail}`, hint, { cause });
}
