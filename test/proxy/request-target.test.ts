import { describe, expect, it } from 'vitest';
import { formatAuthority, parseAuthority } from '../../policies/hostname.ts';
import type { Authority } from '../../policies/model.ts';
import { parseHead, type RequestHead } from '../../proxy/head.ts';
import {
  parseConnectTarget,
  parseRequestTarget,
  recordableTarget,
  type TargetResult,
} from '../../proxy/request-target.ts';

function headOf(line: string, ...fields: string[]): RequestHead {
  const result = parseHead(Buffer.from(`${[line, ...fields].join('\r\n')}\r\n\r\n`, 'latin1'));
  if (!result.ok) throw new Error(result.fault.detail);
  return result.head;
}

function authorityOf(text: string): Authority {
  const parsed = parseAuthority(text, 80);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

function told(result: TargetResult): string {
  if (!result.ok) return `${result.fault.status} ${result.fault.reason}`;
  return `${formatAuthority(result.target.authority)} ${result.target.path}`.trim();
}

const asProxy = (line: string, ...fields: string[]) =>
  told(parseRequestTarget(headOf(line, ...fields), null));

describe('a request to a proxy', () => {
  it('names its authority in the URL, and its path is passed on as it is', () => {
    expect(asProxy('GET http://A.Example/x//y/../z?q=%20|{ HTTP/1.1', 'Host: a.example')).toBe(
      'a.example:80 /x//y/../z?q=%20|{',
    );
    expect(asProxy('GET HTTP://a.example:8080 HTTP/1.1', 'Host: a.example:8080')).toBe('a.example:8080 /');
    expect(asProxy('GET http://a.example?q HTTP/1.1', 'Host: a.example')).toBe('a.example:80 /?q');
    expect(asProxy('OPTIONS http://a.example HTTP/1.1', 'Host: a.example')).toBe('a.example:80 *');
    expect(asProxy('GET http://[2001:DB8::1]:81/ HTTP/1.1', 'Host: [2001:db8:0::1]:81')).toBe(
      '[2001:db8::1]:81 /',
    );
    expect(asProxy('GET http://a.example/ HTTP/1.0')).toBe('a.example:80 /');
  });

  const refused: [name: string, line: string, host: string, answer: string][] = [
    ['Host names another host', 'GET http://a.example/ HTTP/1.1', 'evil.example', '400 host-mismatch'],
    ['Host names another port', 'GET http://a.example/ HTTP/1.1', 'a.example:81', '400 host-mismatch'],
    [
      'Host cannot be read',
      'GET http://a.example/ HTTP/1.1',
      'a.example, b.example',
      '400 request-malformed',
    ],
    ['Host is empty', 'GET http://a.example/ HTTP/1.1', '', '400 request-malformed'],
    ['https in the URL', 'GET https://a.example/ HTTP/1.1', 'a.example', '400 request-malformed'],
    ['ftp in the URL', 'GET ftp://a.example/ HTTP/1.1', 'a.example', '400 request-malformed'],
    ['a user name', 'GET http://a.example@evil.example/ HTTP/1.1', 'evil.example', '400 request-malformed'],
    ['a fragment', 'GET http://evil.example#@a.example/ HTTP/1.1', 'a.example', '400 request-malformed'],
    [
      'a backslash in the host',
      'GET http://evil.example\\@a.example/ HTTP/1.1',
      'a.example',
      '400 request-malformed',
    ],
    ['an escape in the host', 'GET http://a%2eexample/ HTTP/1.1', 'a.example', '400 request-malformed'],
    ['an octal address', 'GET http://0177.0.0.1/ HTTP/1.1', '127.0.0.1', '400 request-malformed'],
    ['a short address', 'GET http://127.1/ HTTP/1.1', '127.0.0.1', '400 request-malformed'],
    ['a number as address', 'GET http://2130706433/ HTTP/1.1', '127.0.0.1', '400 request-malformed'],
    ['an IPv6 zone', 'GET http://[fe80::1%25eth0]/ HTTP/1.1', '[fe80::1]', '400 request-malformed'],
    ['bytes above ASCII', 'GET http://m\u00fcnchen.example/ HTTP/1.1', 'a.example', '400 request-malformed'],
    ['an empty port', 'GET http://a.example:/ HTTP/1.1', 'a.example', '400 request-malformed'],
    ['port 0', 'GET http://a.example:0/ HTTP/1.1', 'a.example:0', '400 request-malformed'],
    ['no host', 'GET http:///x HTTP/1.1', 'a.example', '400 request-malformed'],
    ['a path alone', 'GET / HTTP/1.1', 'a.example', '400 request-malformed'],
    ['an asterisk', 'OPTIONS * HTTP/1.1', 'a.example', '400 request-malformed'],
  ];
  it.each(refused)('is refused for %s', (_, line, host, answer) => {
    expect(asProxy(line, `Host: ${host}`)).toBe(answer);
  });
});

describe('a request inside a tunnel or a stream', () => {
  const inside = authorityOf('a.example');
  const asOrigin = (line: string, ...fields: string[]) =>
    told(parseRequestTarget(headOf(line, ...fields), inside));

  it('names its authority in Host, in a URL, or not at all in HTTP/1.0', () => {
    expect(asOrigin('GET /x HTTP/1.1', 'Host: b.example:81')).toBe('b.example:81 /x');
    expect(asOrigin('GET http://b.example/x HTTP/1.1', 'Host: b.example')).toBe('b.example:80 /x');
    expect(asOrigin('OPTIONS * HTTP/1.1', 'Host: a.example')).toBe('a.example:80 *');
    expect(asOrigin('GET /x HTTP/1.0')).toBe('a.example:80 /x');
  });

  it('is refused where its target is neither a path nor a URL', () => {
    expect(asOrigin('GET a.example:80 HTTP/1.1', 'Host: a.example')).toBe('400 request-malformed');
    expect(asOrigin('GET * HTTP/1.1', 'Host: a.example')).toBe('400 request-malformed');
    expect(asOrigin('GET http://b.example/ HTTP/1.1', 'Host: a.example')).toBe('400 host-mismatch');
  });
});

describe('a CONNECT target', () => {
  const connect = (line: string, ...fields: string[]) => told(parseConnectTarget(headOf(line, ...fields)));

  it('is a host with a port', () => {
    expect(connect('CONNECT A.example:443 HTTP/1.1', 'Host: a.example:443')).toBe('a.example:443');
    expect(connect('CONNECT a.example:443 HTTP/1.1', 'Host: a.example')).toBe('a.example:443');
    expect(connect('CONNECT a.example:22 HTTP/1.0')).toBe('a.example:22');
  });

  it.each([
    ['without a port', 'a.example', 'a.example', '400 request-malformed'],
    ['as a URL', 'http://a.example:443/', 'a.example:443', '400 request-malformed'],
    ['with a user name', 'x@a.example:443', 'a.example:443', '400 request-malformed'],
    ['with a port beyond all', 'a.example:65536', 'a.example', '400 request-malformed'],
    ['other than Host', 'a.example:443', 'b.example:443', '400 host-mismatch'],
  ])('is refused %s', (_, target, host, answer) => {
    expect(connect(`CONNECT ${target} HTTP/1.1`, `Host: ${host}`)).toBe(answer);
  });
});

describe('a target that does not parse', () => {
  it('is recorded without what can carry secrets', () => {
    expect(recordableTarget('http://user:secret@a.example/p?token=1#f')).toBe('http://a.example/p');
    expect(recordableTarget('user:secret@a.example:443')).toBe('a.example:443');
    expect(recordableTarget('/path?token=1')).toBe('/path');
  });
});
