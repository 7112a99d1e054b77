import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSystemResolvers, parseResolvConf } from '../../dns/system-resolvers.ts';

describe('parseResolvConf', () => {
  test('reads name servers and nothing else', () => {
    const text =
      '# comment\n; other\nsearch corp.example\nnameserver 192.0.2.1\n\tnameserver\t2001:DB8::1 \noptions ndots:5\n';
    expect(parseResolvConf(text)).toEqual([
      { address: '192.0.2.1', port: 53 },
      { address: '2001:db8::1', port: 53 },
    ]);
  });

  test('an IPv4-mapped server is asked at the IPv4 address that it means', () => {
    expect(parseResolvConf('nameserver ::ffff:192.0.2.1\n')).toEqual([{ address: '192.0.2.1', port: 53 }]);
  });

  test('takes a loopback stub, which is the host\u2019s own', () => {
    expect(parseResolvConf('nameserver 127.0.0.53\n')).toEqual([{ address: '127.0.0.53', port: 53 }]);
  });

  test('stops at three, as the C library does', () => {
    const text = [1, 2, 3, 4].map((last) => `nameserver 192.0.2.${last}`).join('\n');
    expect(parseResolvConf(text)).toHaveLength(3);
  });

  test('passes over zones, names and what is no address', () => {
    expect(
      parseResolvConf(
        'nameserver fe80::1%en0\nnameserver dns.example\nnameserver 192.0.2.300\nnameserver 192.0.2.9',
      ),
    ).toEqual([{ address: '192.0.2.9', port: 53 }]);
  });

  test('means the local machine where none is named', () => {
    expect(parseResolvConf('')).toEqual([{ address: '127.0.0.1', port: 53 }]);
  });

  test('survives any text', () => {
    fc.assert(fc.property(fc.string(), (text) => parseResolvConf(`nameserver ${text}`).length > 0));
  });
});

describe('createSystemResolvers', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sand-dns-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('never reads what is no plain file: a pipe or a device would hold everything up', () => {
    const path = join(folder, 'resolv.conf');
    writeFileSync(path, 'nameserver 192.0.2.1\n');
    const current = createSystemResolvers(path);
    current();
    symlinkSync('/dev/null', `${path}.new`);
    renameSync(`${path}.new`, path);
    expect(current()).toEqual([{ address: '192.0.2.1', port: 53 }]);
  });

  test('reads the file again when it is replaced, and keeps the last servers while it is gone', () => {
    const path = join(folder, 'resolv.conf');
    writeFileSync(path, 'nameserver 192.0.2.1\n');
    const current = createSystemResolvers(path);
    expect(current()).toEqual([{ address: '192.0.2.1', port: 53 }]);
    expect(current()).toBe(current());
    writeFileSync(`${path}.new`, 'nameserver 192.0.2.2\n');
    renameSync(`${path}.new`, path);
    expect(current()).toEqual([{ address: '192.0.2.2', port: 53 }]);
    rmSync(path);
    expect(current()).toEqual([{ address: '192.0.2.2', port: 53 }]);
  });
});
