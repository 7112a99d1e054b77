import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatUpstream,
  parseServerAddress,
  parseUpstreamFlag,
  parseUpstreamFlags,
} from '../../dns/upstream-flag.ts';

describe('parseUpstreamFlag', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1', 53],
    ['192.0.2.1:5300', '192.0.2.1', 5300],
    ['2001:db8::1', '2001:db8::1', 53],
    ['[2001:db8::1]', '2001:db8::1', 53],
    ['[::1]:5300', '::1', 5300],
  ])('reads %s', (text, address, port) => {
    expect(parseUpstreamFlag(text)).toEqual({ ok: true, value: { address, port } });
  });

  test.each([
    '',
    'dns.example',
    '192.0.2.1:',
    '192.0.2.1:0',
    '192.0.2.1:65536',
    '[192.0.2.1]:53',
    '[::1',
    '::1]:53',
    '192.0.2.1:5 3',
  ])('refuses %j', (text) => {
    expect(parseUpstreamFlag(text).ok).toBe(false);
  });

  test.each([
    ['tls://192.0.2.1', { address: '192.0.2.1', port: 853, serverName: '192.0.2.1' }],
    ['tls://192.0.2.1#DNS.Example', { address: '192.0.2.1', port: 853, serverName: 'dns.example' }],
    [
      'TLS://[2001:db8::1]:8853#dns.example',
      { address: '2001:db8::1', port: 8853, serverName: 'dns.example' },
    ],
    ['tls://2001:db8::1', { address: '2001:db8::1', port: 853, serverName: '2001:db8::1' }],
  ])('reads %s', (text, expected) => {
    expect(parseUpstreamFlag(text)).toEqual({ ok: true, value: { protocol: 'tls', ...expected } });
  });

  const NAMED = { address: null, port: 443, serverName: 'dns.example', path: '/dns-query' };
  test.each([
    ['https://dns.example', NAMED],
    ['https://dns.example/dns-query', NAMED],
    ['https://dns.example:8443/q/x', { ...NAMED, port: 8443, path: '/q/x' }],
    ['https://dns.example/dns-query#192.0.2.1', { ...NAMED, address: '192.0.2.1' }],
    ['https://dns.example#[2001:db8::1]', { ...NAMED, address: '2001:db8::1' }],
    ['https://192.0.2.1/dns-query', { ...NAMED, address: '192.0.2.1', serverName: '192.0.2.1' }],
    ['https://[2001:db8::1]:444', { ...NAMED, address: '2001:db8::1', port: 444, serverName: '2001:db8::1' }],
  ])('reads %s', (text, expected) => {
    expect(parseUpstreamFlag(text)).toEqual({ ok: true, value: { protocol: 'https', ...expected } });
  });

  test.each([
    'tls://dns.example',
    'tls://',
    'tls://192.0.2.1#',
    'tls://192.0.2.1#192.0.2.1',
    'tls://192.0.2.1/path',
    'tls://user@192.0.2.1',
    'https://',
    'https://user:secret@dns.example/',
    'https://dns.example/dns-query{?dns}',
    'https://dns.example/?q=1',
    'https://dns.example/a b',
    'https://dns.example/#dns.example',
    'https://192.0.2.1/#192.0.2.1',
    'https://dns.example:0/',
    'http://dns.example/',
    'quic://192.0.2.1',
    'tls:192.0.2.1',
  ])('refuses %j, with what to write', (text) => {
    expect(parseUpstreamFlag(text)).toMatchObject({ ok: false, reason: expect.stringContaining('write') });
  });

  test('survives any text', () => {
    const text = fc.tuple(fc.constantFrom('', 'tls://', 'https://'), fc.string()).map((it) => it.join(''));
    fc.assert(fc.property(text, (it) => typeof parseUpstreamFlag(it).ok === 'boolean'));
  });
});

describe('an IPv4-mapped address', () => {
  test('is the IPv4 address that it means', () => {
    for (const text of ['::ffff:192.0.2.1', '::FFFF:c000:201', '0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1']) {
      expect(parseServerAddress(text)).toEqual({ ok: true, value: '192.0.2.1' });
    }
    expect(parseUpstreamFlag('[::ffff:192.0.2.1]:5300')).toMatchObject({ value: { address: '192.0.2.1' } });
  });

  test('is not every address that ends like one', () => {
    expect(parseServerAddress('64:ff9b::c000:201')).toMatchObject({ value: '64:ff9b::c000:201' });
    expect(parseServerAddress('1::ffff:c000:201')).toMatchObject({ value: '1::ffff:c000:201' });
  });
});

describe('parseUpstreamFlags', () => {
  test('keeps the order', () => {
    const parsed = parseUpstreamFlags(['192.0.2.2', '192.0.2.1:5300']);
    expect(parsed).toMatchObject({ ok: true, value: [{ address: '192.0.2.2' }, { port: 5300 }] });
    expect(parseUpstreamFlags([])).toEqual({ ok: true, value: [] });
  });

  test('names the one that is wrong', () => {
    expect(parseUpstreamFlags(['192.0.2.2', 'nonsense'])).toMatchObject({ ok: false, at: 'nonsense' });
  });

  test('refuses a plain resolver beside an encrypted one, which would be a way into clear text', () => {
    for (const secure of ['tls://192.0.2.1', 'https://dns.example']) {
      expect(parseUpstreamFlags([secure, '192.0.2.2'])).toMatchObject({ ok: false, at: '192.0.2.2' });
      expect(parseUpstreamFlags(['192.0.2.2', secure])).toMatchObject({ ok: false, at: secure });
    }
    expect(parseUpstreamFlags(['tls://192.0.2.1', 'https://dns.example']).ok).toBe(true);
  });

  test('takes at most three, as resolv.conf does', () => {
    expect(parseUpstreamFlags(['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'])).toMatchObject({
      ok: false,
      at: '192.0.2.4',
    });
  });
});

test('a server is named as a person would name it', () => {
  const named = ['192.0.2.1', 'tls://192.0.2.1', 'tls://[2001:db8::1]#dns.example', 'https://dns.example'];
  expect(
    named.map((text) => {
      const parsed = parseUpstreamFlag(text);
      return parsed.ok ? formatUpstream(parsed.value) : parsed.reason;
    }),
  ).toEqual(named);
});
