/**
 * Certificate authorities as a Java key store: bytes that a JVM takes in place of its own list. In the format
 * called JKS, which Debian's list has and every JVM recognises by its first bytes. Pure; where a JVM looks for
 * its list is for the backends to know.
 */
import { createHash, X509Certificate } from 'node:crypto';

const MAGIC = 0xfeedfeed;
const VERSION = 2;
const TRUSTED_CERTIFICATE = 2;
const CERTIFICATE_TYPE = 'X.509';
const DATE_BYTES = 8;
/** The format's seal is a hash under a password. JVMs give none; programs that open the list by hand give this. */
const PASSWORD = 'changeit';
const SALT = 'Mighty Aphrodite';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Of a PEM bundle; what a JVM would choke on (one broken certificate spoils its whole list) is left out. */
export function encodeJavaStore(pem: string): Buffer {
  const certificates = (pem.match(CERTIFICATE) ?? []).flatMap(readCertificate);
  const head = Buffer.concat([uint32(MAGIC), uint32(VERSION), uint32(certificates.length)]);
  const body = Buffer.concat([head, ...certificates.map(encodeEntry)]);
  const password = Buffer.from(PASSWORD, 'utf16le').swap16();
  return Buffer.concat([body, createHash('sha1').update(password).update(SALT).update(body).digest()]);
}

function readCertificate(pem: string): readonly Buffer[] {
  try {
    return [new X509Certificate(pem).raw];
  } catch {
    return [];
  }
}

/** The date of an entry decides nothing; without one the bytes depend on the certificates alone. */
function encodeEntry(certificate: Buffer, index: number): Buffer {
  const name = Buffer.concat([uint32(TRUSTED_CERTIFICATE), text(`sand-${index}`), Buffer.alloc(DATE_BYTES)]);
  return Buffer.concat([name, text(CERTIFICATE_TYPE), uint32(certificate.length), certificate]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A string as Java's DataOutput writes it; all of them are short and ASCII here. */
function text(value: string): Buffer {
  const bytes = Buffer.alloc(2 + value.length);
  bytes.writeUInt16BE(value.length);
  bytes.write(value, 2, 'latin1');
  return bytes;
}
