import { createHash } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { encodeJavaStore } from '../../../controller/guest/java-store.ts';

const [first = '', second = ''] = rootCertificates;

/** The certificates of a store, by the grammar of the format and none of the encoder's code. */
function decode(store: Buffer): {
  readonly aliases: readonly string[];
  readonly certificates: readonly Buffer[];
} {
  let at = 0;
  const take = (size: number) => {
    at += size;
    return store.subarray(at - size, at);
  };
  const text = () => take(take(2).readUInt16BE()).toString();
  expect(take(8).toString('hex')).toBe('feedfeed00000002');
  const aliases: string[] = [];
  const certificates: Buffer[] = [];
  for (let left = take(4).readUInt32BE(); left > 0; left -= 1) {
    expect(take(4).readUInt32BE()).toBe(2);
    aliases.push(text());
    expect(take(8).readBigUInt64BE()).toBe(0n);
    expect(text()).toBe('X.509');
    certificates.push(take(take(4).readUInt32BE()));
  }
  const sealed = Buffer.concat([
    Buffer.from('\0c\0h\0a\0n\0g\0e\0i\0t'),
    Buffer.from('Mighty Aphrodite'),
    store.subarray(0, at),
  ]);
  expect(take(20)).toEqual(createHash('sha1').update(sealed).digest());
  expect(at).toBe(store.length);
  return { aliases, certificates };
}

const bytes = (pem: string) => Buffer.from(pem.replace(/-----.*-----/g, ''), 'base64');

describe('a Java key store', () => {
  it('holds each certificate of a bundle under a name of its own, sealed', () => {
    const { aliases, certificates } = decode(encodeJavaStore(`# a comment\n${first}\n\n${second}\n`));
    expect(certificates).toEqual([bytes(first), bytes(second)]);
    expect(new Set(aliases).size).toBe(2);
  });

  it('leaves out what is no certificate: a JVM would read none of the others', () => {
    const broken = '-----BEGIN CERTIFICATE-----\nMC4=\n-----END CERTIFICATE-----\n';
    const key = '-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n';
    expect(decode(encodeJavaStore(`${broken}${key}${second}\n`)).certificates).toEqual([bytes(second)]);
    expect(decode(encodeJavaStore('')).certificates).toEqual([]);
  });
});
