/**
 * The key of `--audit-key`, which signs the log of a run, and that of `sand audit verify --key`, which checks it. Decides which
 * files are good enough to hold one; what is signed is `audit/signature.ts`'s.
 */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  parseSigningKey,
  parseVerifyingKey,
  type SigningKey,
  type VerifyingKey,
} from '../../audit/signature.ts';
import type { SandError } from '../errors.ts';
import { usage } from './options.ts';
import type { SecretFlag } from './secret-flag.ts';
import { readSource, type SecretSurroundings } from './secret-reading.ts';

const MAKE_ONE = 'make one: openssl genpkey -algorithm ed25519 -out audit.key; chmod 600 audit.key';
/** Others could read it, and sign what they like. */
const OTHERS = 0o077;

export function parseAuditKeyFlag(text: string): SecretFlag['source'] {
  const variable = /^env:([A-Za-z_][A-Za-z0-9_]*)$/.exec(text)?.[1];
  if (variable !== undefined) return { kind: 'variable', name: variable };
  if (text === '' || text.startsWith('env:') || text.includes('\0'))
    throw usage('--audit-key names no file', 'write --audit-key FILE, or --audit-key env:VARIABLE');
  return { kind: 'file', path: text };
}

/** `seen`: folders of the host that the guest sees. Raises `usage` and `secret-unavailable`. */
export function readAuditKey(
  source: SecretFlag['source'],
  seen: readonly string[],
  surroundings: SecretSurroundings,
): SigningKey {
  const content = readSource('--audit-key', source, surroundings);
  if (source.kind === 'file')
    requireHidden(realpathSync.native(resolve(surroundings.cwd, source.path)), seen);
  const key = parseSigningKey(content);
  content.fill(0);
  if (key === null) throw notAKey('--audit-key', 'an Ed25519 private key in PEM, without a passphrase');
  return key;
}

/** Fail closed: a signature says nothing where the guest, or anybody else, could have made it. */
function requireHidden(path: string, seen: readonly string[]): void {
  const folder = seen.find((one) => path === one || path.startsWith(one.endsWith('/') ? one : `${one}/`));
  if (folder !== undefined)
    throw usage(
      `--audit-key: the guest sees ${folder}, and with it the key`,
      'keep the key in another folder',
    );
  if ((statSync(path).mode & OTHERS) !== 0)
    throw usage(`--audit-key: others than you can read or write ${path}`, `chmod 600 ${path}`);
}

/** A public key, or a private one, of which the public half is taken. Raises `usage`. */
export function readVerifyingKey(path: string, cwd: string): VerifyingKey {
  let pem: Buffer;
  try {
    pem = readFileSync(resolve(cwd, path));
  } catch (error) {
    const code = error instanceof Error ? String(Reflect.get(error, 'code')) : '';
    throw usage(`--key ${path} cannot be read (${code})`, 'name the file of the public key');
  }
  const key = parseVerifyingKey(pem);
  if (key === null) throw notAKey('--key', 'an Ed25519 key in PEM');
  return key;
}

function notAKey(flag: string, what: string): SandError {
  return usage(`${flag}: that is not ${what}`, MAKE_ONE);
}
