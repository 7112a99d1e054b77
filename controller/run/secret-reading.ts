/**
 * Reads what `--secret` and `--audit-key` name, once, before the guest is made: files of the caller's own and variables of the caller's
 * environment. Keeps the bytes in memory and says nothing of them but their name.
 */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { SandError } from '../errors.ts';
import type { SecretFlag } from './secret-flag.ts';
import { isAtOrBelow, spelled } from './spelling.ts';

/** Of one secret. Keys, tokens and certificate chains stay under it; and one fits into a pipe while bubblewrap starts. */
export const SECRET_BYTES = 64 * 1024;

export interface Secret {
  readonly name: string;
  readonly content: Buffer;
}

export interface SecretSurroundings {
  readonly cwd: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
  /** Of the caller; null where the system has none. */
  readonly uid: number | null;
}

/** Raises `secret-unavailable`: a guest is not started with less than was asked for. */
export function readSecrets(
  flags: readonly SecretFlag[],
  surroundings: SecretSurroundings,
): readonly Secret[] {
  return flags.map(({ name, source }) => ({
    name,
    content: readSource(`--secret ${name}`, source, surroundings),
  }));
}

/** `flag` is what names it, for the error. Raises `secret-unavailable`. */
export function readSource(
  flag: string,
  source: SecretFlag['source'],
  surroundings: SecretSurroundings,
): Buffer {
  return source.kind === 'variable'
    ? readVariable(flag, source.name, surroundings)
    : readSecretFile(flag, source.path, surroundings);
}

function readVariable(flag: string, variable: string, { environ }: SecretSurroundings): Buffer {
  const value = environ[variable];
  if (value === undefined)
    throw unavailable(flag, `the variable ${variable} is not set here`, 'set it, or name a file');
  const content = Buffer.from(value);
  if (content.length > SECRET_BYTES) throw tooLarge(flag, `the variable ${variable}`);
  return content;
}

function readSecretFile(flag: string, path: string, surroundings: SecretSurroundings): Buffer {
  const { cwd, uid } = surroundings;
  const named = resolve(cwd, path);
  const real = realOrRefuse(flag, named);
  refuseLinkOut(flag, named, real, cwd);
  let descriptor: number | null = null;
  try {
    // Never waits: a FIFO is opened without blocking, and then refused.
    descriptor = openSync(
      real,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw unavailable(flag, `${named} is not a file`, 'name a regular file');
    if (uid !== null && uid !== 0 && stat.uid !== uid && stat.uid !== 0) {
      throw unavailable(flag, `${named} belongs to another user`, 'name a file of your own');
    }
    if (stat.size > SECRET_BYTES) throw tooLarge(flag, named);
    return readBounded(flag, named, descriptor);
  } catch (error) {
    if (error instanceof SandError) throw error;
    throw unreadable(flag, named, error);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

/** One byte more than the bound at the most: the file may grow meanwhile. */
function readBounded(flag: string, named: string, descriptor: number): Buffer {
  const bytes = Buffer.alloc(SECRET_BYTES + 1);
  let filled = 0;
  while (filled < bytes.length) {
    const read = readSync(descriptor, bytes, filled, bytes.length - filled, filled);
    if (read === 0) return bytes.subarray(0, filled);
    filled += read;
  }
  throw tooLarge(flag, named);
}

/** A link inside the project may be a guest's work of an earlier run: what it leads to is not what was named. */
function refuseLinkOut(flag: string, named: string, real: string, cwd: string): void {
  const isBelow = isAtOrBelow(spelled(named), spelled(resolve(cwd)));
  if (!isBelow || real.startsWith(`${realpathSync.native(cwd)}/`)) return;
  throw unavailable(
    flag,
    `${named} is a link that leads out of the working directory, to ${real}`,
    `if that is what you mean, name the file itself: ${flag}=${real}`,
  );
}

function realOrRefuse(flag: string, path: string): string {
  try {
    return realpathSync.native(path);
  } catch (error) {
    throw unreadable(flag, path, error);
  }
}

function unreadable(flag: string, path: string, error: unknown): SandError {
  const code = error instanceof Error ? String(Reflect.get(error, 'code')) : '';
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return unavailable(flag, `${path} does not exist`, 'name a file that exists');
  return unavailable(flag, `${path} cannot be read (${code})`, 'name a file that you can read');
}

function tooLarge(flag: string, what: string): SandError {
  return unavailable(
    flag,
    `${what} holds more than ${SECRET_BYTES / 1024} KiB`,
    'give such data to the guest with --mount FILE:/place/FILE:ro',
  );
}

function unavailable(flag: string, why: string, hint: string): SandError {
  return new SandError('secret-unavailable', `${flag}: ${why}`, hint);
}
