import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SandError } from '../../../controller/errors.ts';
import {
  describeParents,
  parentFor,
  parseExceptions,
  readParentSettings,
} from '../../../controller/gateway/parent-proxy.ts';
import { createParents } from '../../../controller/gateway/parents.ts';
import { parseAuthority } from '../../../policies/hostname.ts';
import type { Authority, Protocol } from '../../../policies/model.ts';

function authorityOf(text: string): Authority {
  const parsed = parseAuthority(text, null);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.reason}`);
  return parsed.value;
}

const flagged = (flag: string) => readParentSettings(flag, {});

function placeFor(
  environ: Record<string, string>,
  authority: string,
  protocol: Protocol,
  flag: string | null = null,
): string | null {
  const settings = readParentSettings(flag, environ);
  const parent = settings === null ? null : parentFor(settings, authorityOf(authority), protocol);
  return parent === null ? null : (describeParents({ http: parent, https: null, exceptions: [] })[0] ?? null);
}

/** Whether `no_proxy` covers an authority. */
const isCovered = (list: string, authority: string): boolean =>
  placeFor({ https_proxy: 'http://p.example:3128', no_proxy: list }, authority, 'https') === null;

describe('which parent proxy', () => {
  const both = { http_proxy: 'http://web.example:80', https_proxy: 'http://tls.example:81' };

  it('is told by the protocol: plain HTTP has one variable, all else the other', () => {
    expect(placeFor(both, 'a.example:80', 'http')).toBe('web.example:80');
    expect(placeFor(both, 'a.example:443', 'https')).toBe('tls.example:81');
    expect(placeFor(both, 'a.example:22', 'tcp')).toBe('tls.example:81');
    expect(placeFor({ http_proxy: 'http://web.example:80' }, 'a.example:443', 'https')).toBeNull();
  });

  it('is the lower-case spelling, then the upper-case one; an empty one is none', () => {
    const https = 'http://upper.example:1';
    expect(placeFor({ HTTPS_PROXY: https }, 'a.example:443', 'https')).toBe('upper.example:1');
    expect(placeFor({ ...both, HTTPS_PROXY: https }, 'a.example:443', 'https')).toBe('tls.example:81');
    expect(placeFor({ https_proxy: ' ', HTTPS_PROXY: https }, 'a.example:443', 'https')).toBe(
      'upper.example:1',
    );
    expect(readParentSettings(null, { https_proxy: '', NO_PROXY: 'a.example' })).toBeNull();
  });

  it('is the one of the flag before the variables, whose no_proxy still counts; none is none', () => {
    const environ = { ...both, NO_PROXY: 'b.example' };
    const flag = 'http://flag.example:3128';
    expect(placeFor(environ, 'a.example:80', 'http', flag)).toBe('flag.example:3128');
    expect(placeFor(environ, 'b.example:80', 'http', flag)).toBeNull();
    expect(readParentSettings('none', environ)).toBeNull();
  });
});

describe('the URL of a parent proxy', () => {
  it('has a scheme, credentials and a port where they are needed', () => {
    const authorization = `Basic ${Buffer.from('user:p@ss:word/é').toString('base64')}`;
    expect(flagged('HTTP://user:p%40ss:word%2F%C3%A9@Proxy.Corp.Example:3128/')?.https).toEqual({
      host: { kind: 'name', name: 'proxy.corp.example' },
      port: 3128,
      secure: false,
      authorization,
    });
    expect(flagged('https://proxy.example')?.http).toMatchObject({
      port: 443,
      secure: true,
      authorization: null,
    });
    expect(flagged('proxy.example')?.http).toMatchObject({ port: 80, secure: false });
    expect(flagged('http://[2001:db8::1]:8080')?.http).toMatchObject({
      host: { address: '2001:db8::1' },
      port: 8080,
    });
    expect(flagged('http://user@proxy.example:1')?.http?.authorization).toBe(
      `Basic ${Buffer.from('user:').toString('base64')}`,
    );
  });

  const bad = [
    'socks5://u:s3cret@proxy.example:1080',
    'http://u:s3cret@proxy.example:0',
    'http://u:s3cret@proxy.example:99999',
    'http://u:s3cret@proxy.example/path',
    'http://u:s3cret@proxy.example?x',
    'http://u:s3cret%0d%0aX:%20y@proxy.example',
    'http://u%3a:s3cret@proxy.example',
    'http://u:s3cret%@proxy.example',
    'http://u:s3cret@',
    'http://u:s3cret@0x7f.1:80',
    'http://u:s3cret@a b:80',
    'ftp://u:s3cret@proxy.example',
  ];
  it.each(bad)('%s is refused, and its password is not repeated', (text) => {
    for (const read of [() => flagged(text), () => readParentSettings(null, { HTTPS_PROXY: text })]) {
      let failure: unknown = null;
      try {
        read();
      } catch (error) {
        failure = error;
      }
      expect(failure).toBeInstanceOf(SandError);
      expect(failure).toMatchObject({ code: 'usage' });
      expect(JSON.stringify(failure) + String(failure)).not.toContain('s3cret');
    }
  });

  it('is told to people without its credentials', () => {
    const settings = readParentSettings('http://u:s3cret@proxy.example:3128', {});
    expect(settings === null ? [] : describeParents(settings)).toEqual(['proxy.example:3128']);
  });

  it('never throws anything else, and gives no header that holds a line end', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.webUrl({ withQueryParameters: true })),
        fc.string(),
        (text, list) => {
          try {
            const settings = readParentSettings(text, { no_proxy: list });
            const told = settings?.https?.authorization ?? '';
            expect(told).toMatch(/^(Basic [A-Za-z0-9+/=]*)?$/);
          } catch (error) {
            expect(error).toBeInstanceOf(SandError);
          }
        },
      ),
    );
  });
});

describe('no_proxy', () => {
  it.each([
    ['*', 'a.example:443', true],
    ['corp.example', 'corp.example:443', true],
    ['corp.example', 'a.corp.example:443', true],
    ['corp.example', 'badcorp.example:443', false],
    ['.corp.example', 'corp.example:443', true],
    ['.corp.example', 'a.b.corp.example:443', true],
    ['*.corp.example', 'a.corp.example:443', true],
    ['CORP.Example.', 'a.corp.example:443', true],
    ['a.example,corp.example', 'corp.example:443', true],
    ['a.example  corp.example', 'corp.example:443', true],
    [',,corp.example,', 'corp.example:443', true],
    ['corp.example:8443', 'corp.example:8443', true],
    ['corp.example:8443', 'corp.example:443', false],
    ['corp.example:x', 'corp.example:443', false],
    ['10.0.0.0/8', '10.1.2.3:443', true],
    ['10.1.2.3/8', '10.9.9.9:443', true],
    ['10.0.0.0/8', '11.1.2.3:443', false],
    ['10.0.0.0/33', '10.1.2.3:443', false],
    ['192.0.2.7', '192.0.2.7:443', true],
    ['192.0.2.7', '192.0.2.70:443', false],
    ['192.0.2.7:22', '192.0.2.7:443', false],
    ['192.0.2.7:443', '192.0.2.7:443', true],
    ['2001:db8::/32', '[2001:db8::5]:443', true],
    ['2001:db8::1', '[2001:db8::1]:443', true],
    ['[2001:db8::1]', '[2001:db8::1]:443', true],
    ['[2001:db8::1]:443', '[2001:db8::1]:443', true],
    ['[2001:db8::1]:22', '[2001:db8::1]:443', false],
    ['0.0.0.0/0', 'a.example:443', false],
    ['0.0.0.0/0', '[2001:db8::1]:443', false],
    ['*example', 'a.example:443', false],
    ['..', 'a.example:443', false],
  ])('%s covers %s: %s', (list, authority, expected) => {
    expect(isCovered(list, authority)).toBe(expected);
  });

  it('is read to a bound', () => {
    expect(parseExceptions('a.example,'.repeat(1_000_000)).length).toBeLessThan(10_000);
  });
});

describe('the lookup of a parent proxy', () => {
  it('is the host\u2019s own, and finds nothing for a name that is none', async () => {
    const settings = readParentSettings('http://localhost:3128', {});
    if (settings === null) throw new Error('no settings');
    const parents = createParents(settings);
    const found = await parents.lookup('localhost' as never);
    expect(found.kind).toBe('addresses');
    // Asked once for many connections.
    expect(parents.lookup('localhost' as never)).toBe(parents.lookup('localhost' as never));
  });
});
