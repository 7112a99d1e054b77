/**
 * The keys by which sand alone speaks to the SSH server in a VM guest: one pair for each side, made for one guest
 * and used for no other. Gives them as the texts that OpenSSH reads.
 */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';

export interface KeyPair {
  /** PEM, for a file that only its owner reads. */
  readonly privateKey: string;
  /** One line without a comment: `ecdsa-sha2-nistp256 AAAA…`. */
  readonly publicLine: string;
}

/** A curve that Node and OpenSSH write alike, and that an emulated processor computes in some hundredths of a second. */
const CURVE = 'nistp256';

export function createKeyPair(): KeyPair {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const { x = '', y = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  return {
    privateKey: privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
    publicLine: publicLine(point),
  };
}

/** RFC 5656, section 3.1: the name, the curve's name, and the uncompressed point, each with its length before it. */
export function publicLine(point: Buffer): string {
  const type = `ecdsa-sha2-${CURVE}`;
  const blob = Buffer.concat([type, CURVE, point].map(lengthPrefixed));
  return `${type} ${blob.toString('base64')}`;
}

function lengthPrefixed(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
