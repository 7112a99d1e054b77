/**
 * The signature of a sealed log: Ed25519 (RFC 8032) over the bytes of its last line with an empty text in the
 * signature's place. That line holds the hash of the line before it, so it vouches for all of them. Pure.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

export interface SigningKey {
  readonly key: KeyObject;
  /** `sha256` hex of the public key's SPKI form (DER). */
  readonly fingerprint: string;
}

export interface VerifyingKey {
  readonly key: KeyObject;
  readonly fingerprint: string;
}

/** Base64 of 64 bytes. */
const SIGNED = /"signature":"([A-Za-z0-9+/]{86}==)"(?=,"prev":"[0-9a-f]{64}"\}$)/;
const UNSIGNED = /"signature":""(?=,"prev":"[0-9a-f]{64}"\}$)/;

/** Null for what is no Ed25519 private key as unencrypted PEM (PKCS 8). */
export function parseSigningKey(pem: string | Buffer): SigningKey | null {
  const key = parsed(() => createPrivateKey(pem));
  return key === null ? null : { key, fingerprint: fingerprintOf(createPublicKey(key)) };
}

/** Null for what is no Ed25519 key as PEM; of a private key, its public half. */
export function parseVerifyingKey(pem: string | Buffer): VerifyingKey | null {
  const key = parsed(() => createPublicKey(pem));
  return key === null ? null : { key, fingerprint: fingerprintOf(key) };
}

function parsed(read: () => KeyObject): KeyObject | null {
  try {
    const key = read();
    return key.asymmetricKeyType === 'ed25519' ? key : null;
  } catch {
    return null;
  }
}

function fingerprintOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** The line with its signature in the empty place that it has for it. */
export function signLine(line: string, { key }: SigningKey): string {
  const signature = sign(null, Buffer.from(line), key).toString('base64');
  return line.replace(UNSIGNED, `"signature":"${signature}"`);
}

/** Whether this very line was signed by the key. Survives any bytes. */
export function isSignedBy(line: Uint8Array, { key }: VerifyingKey): boolean {
  const text = Buffer.from(line).toString('latin1');
  const signature = SIGNED.exec(text)?.[1];
  if (signature === undefined) return false;
  const signed = Buffer.from(text.replace(SIGNED, '"signature":""'), 'latin1');
  return verify(null, signed, key, Buffer.from(signature, 'base64'));
}
