import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAuthority } from '../../policies/hostname.ts';
import { readGreeting, readRequest, replyFor } from '../../proxy/socks.ts';

const name = (text: string, port = 443) =>
  Buffer.concat([
    Buffer.from([5, 1, 0, 3, text.length]),
    Buffer.from(text, 'latin1'),
    Buffer.from([port >> 8, port & 255]),
  ]);

function told(bytes: Buffer): string {
  const step = readRequest(bytes);
  if (step.kind === 'connect') return `${formatAuthority(step.authority)} ${step.used}`;
  return step.kind === 'refuse' ? `refuse ${step.reply}` : 'more';
}

describe('a SOCKS5 greeting', () => {
  it('is whole with all its methods, and says whether none is among them', () => {
    expect(readGreeting(Buffer.from([5])).kind).toBe('more');
    expect(readGreeting(Buffer.from([5, 2, 0])).kind).toBe('more');
    expect(readGreeting(Buffer.from([5, 2, 2, 0, 99]))).toEqual({
      kind: 'greeting',
      used: 4,
      acceptsNoAuth: true,
    });
    expect(readGreeting(Buffer.from([5, 1, 2]))).toMatchObject({ acceptsNoAuth: false });
  });
});

describe('a SOCKS5 request', () => {
  it('names a host in each of the three ways', () => {
    expect(told(name('A.example'))).toBe('a.example:443 16');
    expect(told(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, 0, 80]))).toBe('127.0.0.1:80 10');
    const v6 = Buffer.concat([
      Buffer.from([5, 1, 0, 4, 0x20, 1, 0xd, 0xb8]),
      Buffer.alloc(11),
      Buffer.from([1, 0, 22]),
    ]);
    expect(told(v6)).toBe('[2001:db8::1]:22 22');
    expect(told(name('::1'))).toBe('[::1]:443 10');
    expect(told(name('127.0.0.1'))).toBe('127.0.0.1:443 16');
  });

  it('waits for its last byte', () => {
    const whole = name('a.example');
    for (let at = 0; at < whole.length; at += 1) expect(told(whole.subarray(0, at))).toBe('more');
  });

  it.each([
    ['BIND', Buffer.from([5, 2, 0, 1]), 7],
    ['UDP ASSOCIATE', Buffer.from([5, 3, 0, 1]), 7],
    ['another version', Buffer.from([4, 1, 0, 1]), 1],
    ['a reserved byte', Buffer.from([5, 1, 9, 1]), 1],
    ['another address type', Buffer.from([5, 1, 0, 2]), 8],
    ['port 0', Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, 0, 0]), 1],
    ['an empty name', name(''), 1],
    ['NUL in the name', name('a.example\0b'), 1],
    ['a number as name', name('2130706433'), 1],
    ['an octal address as name', name('0177.0.0.1'), 1],
    ['bytes above ASCII', name('m\u00fcnchen.example'), 1],
  ])('is refused for %s', (_, bytes, reply) => {
    expect(told(bytes)).toBe(`refuse ${reply}`);
  });

  it('is survived whatever its bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (bytes, isPrefixed) => {
        const whole = isPrefixed
          ? Buffer.concat([Buffer.from([5, 1, 0]), Buffer.from(bytes)])
          : Buffer.from(bytes);
        readGreeting(whole);
        const step = readRequest(whole);
        if (step.kind === 'connect') expect(step.used).toBeLessThanOrEqual(whole.length);
      }),
    );
  });
});

describe('a SOCKS5 reply', () => {
  it('tells a rule from a name that does not exist and from an origin that refuses', () => {
    expect(replyFor('no-rule')).toBe(2);
    expect(replyFor('metadata-address')).toBe(2);
    expect(replyFor('dns-not-found')).toBe(4);
    expect(replyFor('upstream-refused')).toBe(5);
    expect(replyFor('upstream-timeout')).toBe(6);
  });
});
