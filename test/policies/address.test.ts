import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  classifyAddress,
  embeddedAddresses,
  parseAddress,
  parseRange,
  rangeContains,
  rangeCovers,
  SYNTHETIC_RANGE,
  soleAddress,
} from '../../policies/address.ts';
import type { IpAddress, IpRange } from '../../policies/model.ts';
import { inRange } from './reference.ts';

function at(text: string): IpAddress {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(`${text}: ${address.reason}`);
  return address.value;
}

function range(text: string): IpRange {
  const parsed = parseRange(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.reason}`);
  return parsed.value;
}

const classOf = (text: string, own: string[] = []): string => classifyAddress(at(text), own.map(at));

describe('an address', () => {
  test.each([
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::ffff:c633:6407', '::ffff:198.51.100.7'],
    ['::198.51.100.7', '::c633:6407'],
    ['1:2:3:4:5:6:198.51.100.7', '1:2:3:4:5:6:c633:6407'],
  ])('%s has one canonical text', (text, expected) => {
    expect(at(text)).toBe(expected);
  });

  test.each([
    '::ffff:0177.0.0.1',
    '::ffff:127.1',
    '01.2.3.4',
    '1.2.3',
    '::1%lo',
    '1::2::3',
    ':::',
    '12345::',
    '[::1]',
    ' ::1',
    '::g',
    '',
  ])('%j is refused', (text) => {
    expect(parseAddress(text).ok).toBe(false);
  });

  test("agrees with Node's own parser and is canonical when read again", () => {
    const fragments = fc.array(fc.constantFrom(':', '::', '1', 'ffff', '0', '1.2.3.4', '01', '.'), {
      maxLength: 12,
    });
    const text = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.ipV4Extended(),
      fragments.map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (written) => {
        const address = parseAddress(written);
        expect([written, address.ok]).toEqual([written, isIP(written) !== 0]);
        if (address.ok) expect(parseAddress(address.value)).toEqual(address);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('a range', () => {
  test('with bits set outside its prefix says what to write', () => {
    expect(parseRange('10.1.2.3/8')).toEqual({
      ok: false,
      reason: expect.stringContaining('write 10.0.0.0/8'),
    });
    expect(parseRange('2001:db8::1/32')).toEqual({
      ok: false,
      reason: expect.stringContaining('write 2001:db8::/32'),
    });
  });

  test.each([
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/',
    '10.0/8',
    '::/129',
    '10.0.0.0/8/8',
    '/8',
  ])('%j is refused', (text) => {
    expect(parseRange(text).ok).toBe(false);
  });

  test('of one address is a literal', () => {
    expect(soleAddress(range('198.51.100.7'))).toBe('198.51.100.7');
    expect(soleAddress(range('198.51.100.0/31'))).toBeNull();
    expect(soleAddress(range('2001:db8::1/128'))).toBe('2001:db8::1');
  });

  test("contains what Node's block list says", () => {
    const ranges = fc.constantFrom(
      '10.0.0.0/8',
      '0.0.0.0/0',
      '198.51.100.128/25',
      '2001:db8::/32',
      '::/0',
      'fe80::/10',
    );
    fc.assert(
      fc.property(
        ranges,
        fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('10.1.1.1', '2001:db8::5')),
        (one, written) => {
          const address = at(written);
          expect([one, address, rangeContains(range(one), address)]).toEqual([
            one,
            address,
            inRange(one, address),
          ]);
        },
      ),
    );
  });

  test('covers the ranges inside it', () => {
    expect(rangeCovers(range('10.0.0.0/8'), range('10.1.0.0/16'))).toBe(true);
    expect(rangeCovers(range('10.1.0.0/16'), range('10.0.0.0/8'))).toBe(false);
    expect(rangeCovers(range('::/0'), range('10.0.0.0/8'))).toBe(false);
  });
});

describe('the class of an address', () => {
  test.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['::1', 'loopback'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['::', 'unspecified'],
    ['10.0.0.1', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'carrier-nat'],
    ['100.127.255.255', 'carrier-nat'],
    ['169.254.1.1', 'link-local'],
    ['fe80::1', 'link-local'],
    ['febf::1', 'link-local'],
    ['198.18.0.1', 'benchmarking'],
    ['198.19.255.255', 'benchmarking'],
    ['2001:2::1', 'benchmarking'],
    ['224.0.0.1', 'multicast'],
    ['239.255.255.255', 'multicast'],
    ['ff02::1', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'reserved'],
    ['192.0.0.1', 'reserved'],
    ['4000::1', 'reserved'],
    ['fc00::1', 'unique-local'],
    ['fdff::1', 'unique-local'],
    ['fec0::1', 'site-local'],
    ['100::1', 'discard'],
  ])('%s is guarded as %s', (address, expected) => {
    expect(classOf(address)).toBe(expected);
  });

  test.each([
    '8.8.8.8',
    '172.15.255.255',
    '172.32.0.1',
    '100.63.255.255',
    '100.128.0.1',
    '198.17.255.255',
    '198.20.0.1',
    '192.0.2.1',
    '198.51.100.1',
    '203.0.113.1',
    '2606:4700::1',
    '2001:db8::1',
    '223.255.255.255',
    '9.255.255.255',
  ])('%s is ordinary', (address) => {
    expect(classOf(address)).toBe('ordinary');
  });

  test.each([
    ['::ffff:10.0.0.1', 'mapped'],
    ['::10.0.0.1', 'compatible'],
    ['::ffff:0:10.0.0.1', 'translated'],
    ['64:ff9b::10.0.0.1', 'NAT64'],
    ['64:ff9b:1:a00:0:100::', 'local NAT64 of /48'],
    ['64:ff9b:1:a:0:1::', 'local NAT64 of /56'],
    ['64:ff9b:1:0:a:0:100:0', 'local NAT64 of /64'],
    ['64:ff9b:1::10.0.0.1', 'local NAT64 of /96'],
    ['2002:a00:1::1', '6to4'],
    ['2001:0:a00:1::', 'Teredo server'],
    ['2001:0:c633:6407::f5ff:fffe', 'Teredo client'],
    ['2606:4700::5efe:10.0.0.1', 'ISATAP'],
    ['2606:4700::200:5efe:10.0.0.1', 'ISATAP, global bit'],
  ])('%s is judged by the private address inside (%s)', (address) => {
    expect([address, classOf(address)]).toEqual([address, 'private']);
  });

  test.each([
    '::ffff:8.8.8.8',
    '::8.8.8.8',
    '64:ff9b::8.8.8.8',
    '64:ff9b:1::8.8.8.8',
    '2002:808:808::1',
    '2606:4700::5efe:8.8.8.8',
  ])('%s embeds an ordinary address and is ordinary', (address) => {
    expect(classOf(address)).toBe('ordinary');
  });

  test('is guarded for a link-local ISATAP address, whatever it embeds', () => {
    expect(classOf('fe80::5efe:8.8.8.8')).toBe('link-local');
  });

  test.each([
    '169.254.169.254',
    '169.254.170.2',
    '169.254.170.23',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    'fd00:ec2::254',
    'fd20:ce::254',
    'fd00:c1::a9fe:a9fe',
    '::ffff:169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::',
  ])('%s is a metadata address', (address) => {
    expect(classOf(address)).toBe('metadata');
  });

  test("tells the host's own addresses, in every form", () => {
    for (const form of ['203.0.113.9', '::ffff:203.0.113.9', '64:ff9b::203.0.113.9']) {
      expect([form, classOf(form, ['203.0.113.9', '2001:db8::9'])]).toEqual([form, 'host']);
    }
    expect(classOf('2001:db8::9', ['203.0.113.9', '2001:db8::9'])).toBe('host');
    expect(classOf('203.0.113.10', ['203.0.113.9'])).toBe('ordinary');
  });

  test('of an IPv6 form is never milder than that of what it embeds', () => {
    fc.assert(
      fc.property(
        fc.ipV4(),
        fc.constantFrom('::ffff:', '64:ff9b::', '64:ff9b:1::', '::ffff:0:'),
        (quad, prefix) => {
          const form = at(prefix + quad);
          expect(embeddedAddresses(form)).toContain(at(quad));
          if (classOf(quad) !== 'ordinary') expect(classifyAddress(form, [])).not.toBe('ordinary');
        },
      ),
    );
  });

  test('of every synthetic address is guarded', () => {
    expect(rangeContains(SYNTHETIC_RANGE, at('198.19.255.255'))).toBe(true);
    expect(classOf('198.19.255.255')).toBe('benchmarking');
  });
});
