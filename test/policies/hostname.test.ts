import { domainToASCII } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatHost, parseAuthority, parseHost, parsePort } from '../../policies/hostname.ts';

function read(text: string): string | null {
  const host = parseHost(text);
  return host.ok ? `${host.value.kind} ${formatHost(host.value)}` : null;
}

function authority(text: string, defaultPort: number | null = null): string | null {
  const parsed = parseAuthority(text, defaultPort);
  return parsed.ok ? `${formatHost(parsed.value.host)} ${parsed.value.port}` : null;
}

describe('a host', () => {
  test.each([
    ['Example.COM', 'name example.com'],
    ['example.com.', 'name example.com'],
    ['bücher.example', 'name xn--bcher-kva.example'],
    ['a。b.example', 'name a.b.example'],
    ['_dmarc.example.com', 'name _dmarc.example.com'],
    ['localhost', 'name localhost'],
    ['1.example', 'name 1.example'],
    ['a.0xexample', 'name a.0xexample'],
    ['198.51.100.7', 'address 198.51.100.7'],
    ['[2001:DB8::1]', 'address [2001:db8::1]'],
    ['[::ffff:198.51.100.7]', 'address [::ffff:198.51.100.7]'],
  ])('%s has one canonical form', (text, expected) => {
    expect(read(text)).toBe(expected);
  });

  test.each([
    '',
    '.',
    'a..b',
    '.a',
    'a..',
    ' a',
    'a b',
    'a\0.b',
    'a\n.b',
    'a%2eb',
    'a\\b',
    'a@b',
    'a?b',
    'a#b',
    'a/b',
    'a:b',
    '*.example',
    'a,b',
    'a\u00adb.example',
    'a\u200db.example',
    'a\u202eb',
    'a\u3000b',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}aa`,
    'a'.repeat(100_000),
    'a：b',
    '［::1］',
  ])('%j is refused', (text) => {
    expect(read(text)).toBeNull();
  });

  test.each([
    '127.1',
    '1.2.3',
    '2130706433',
    '0x7f.1',
    '0X7F000001',
    '0177.0.0.1',
    '127.0.0.01',
    '127.0.0.256',
    '1.2.3.4.5',
    '1.2.3.4.',
    'a.1',
    'a.0x',
    'a.0x1f',
    '１２７.0.0.1',
    '127。0。0。1',
    '１',
    'ａ.１',
    '٣.example.٣',
  ])('%j reads as a number in some base and is refused', (text) => {
    expect(read(text)).toBeNull();
  });

  test.each([
    '[::1',
    '::1',
    '[::1]x',
    '[::1%eth0]',
    '[fe80::1%25eth0]',
    '[]',
    '[1.2.3.4]',
    '[a.example]',
    '[::01.2.3.4]',
  ])('%j is refused as an IPv6 literal', (text) => {
    expect(read(text)).toBeNull();
  });

  test('never folds into something else when it is parsed again', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.domain(), fc.string({ unit: 'grapheme' }), fc.ipV6(), fc.ipV4Extended()),
        (text) => {
          const host = parseHost(text);
          if (!host.ok) return;
          expect(parseHost(formatHost(host.value))).toEqual(host);
          if (host.value.kind === 'name') expect(domainToASCII(host.value.name)).toBe(host.value.name);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('an authority', () => {
  test.each([
    ['example.com:443', 'example.com 443'],
    ['[2001:db8::1]:80', '[2001:db8::1] 80'],
    ['198.51.100.7:1', '198.51.100.7 1'],
    ['example.com:65535', 'example.com 65535'],
  ])('%s is host and port', (text, expected) => {
    expect(authority(text)).toBe(expected);
  });

  test('has the default port where it names none and there is one', () => {
    expect(authority('example.com', 443)).toBe('example.com 443');
    expect(authority('[::1]', 80)).toBe('[::1] 80');
    expect(authority('example.com')).toBeNull();
  });

  test.each([
    'a:',
    ':80',
    'a:0',
    'a:080',
    'a:65536',
    'a:+80',
    'a:8 0',
    'a:80:80',
    'a:80/',
    '[::1]80',
    '[::1]:',
    '[::1]]:80',
    'a:１',
    'user@a:80',
    'http://a:80',
  ])('%j is refused', (text) => {
    expect(authority(text, 443)).toBeNull();
  });

  test('has a port of plain decimal digits', () => {
    expect(['1', '65535', '0', '01', '65536', '1e3', '-1', ''].map(parsePort)).toEqual([
      1,
      65535,
      null,
      null,
      null,
      null,
      null,
      null,
    ]);
  });
});
