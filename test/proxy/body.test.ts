import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BodyDecoder } from '../../proxy/body.ts';
import type { Framing } from '../../proxy/head.ts';

interface Taken {
  readonly body: string;
  readonly rest: string;
  readonly state: 'more' | 'done' | 'fault';
  readonly trailers: readonly string[];
}

/** Feeds `text` in pieces of `size` bytes, as a reader would: unused bytes are offered again. */
function take(framing: Framing, text: string, size = text.length || 1): Taken {
  const decoder = new BodyDecoder(framing, 1024);
  let body = '';
  let held = Buffer.alloc(0);
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; at += size) {
    held = Buffer.concat([held, bytes.subarray(at, at + size)]);
    const step = decoder.step(held);
    if (step.kind === 'fault') return { body, rest: '', state: 'fault', trailers: [] };
    body += Buffer.concat([...step.data]).toString('latin1');
    held = held.subarray(step.used);
    if (step.kind === 'done') {
      const rest = held.toString('latin1') + bytes.subarray(at + size).toString('latin1');
      const trailers = decoder.trailers.map(({ name, value }) => `${name}: ${value}`);
      return { body, rest, state: 'done', trailers };
    }
  }
  return { body, rest: held.toString('latin1'), state: 'more', trailers: [] };
}

const CHUNKED: Framing = { kind: 'chunked' };

describe('a request body', () => {
  it('ends exactly at its length', () => {
    expect(take({ kind: 'length', bytes: 5 }, 'helloGET /next')).toMatchObject({
      body: 'hello',
      rest: 'GET /next',
      state: 'done',
    });
    expect(take({ kind: 'length', bytes: 5 }, 'hel')).toMatchObject({ body: 'hel', state: 'more' });
  });

  it('ends exactly at its last chunk, trailers read', () => {
    const text = '5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET /next';
    const whole = { body: 'hello world', rest: 'GET /next', state: 'done', trailers: ['X-Sum: 1'] };
    for (let size = 1; size <= text.length; size += 1) expect(take(CHUNKED, text, size)).toEqual(whole);
  });

  it.each([
    ['a chunk that is longer than its size', '3\r\nhello\r\n0\r\n\r\n'],
    ['a bare LF after a chunk size', '5\nhello\r\n0\r\n\r\n'],
    ['a bare LF after a chunk', '5\r\nhello\n0\r\n\r\n'],
    ['a bare LF in an extension', '5;a\nb\r\nhello\r\n0\r\n\r\n'],
    ['a signed size', '+5\r\nhello\r\n0\r\n\r\n'],
    ['a size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['an empty size', '\r\nhello\r\n0\r\n\r\n'],
    ['a size with a blank before it', ' 5\r\nhello\r\n0\r\n\r\n'],
    ['a size beyond exact numbers', 'fffffffffffffffff\r\nhello'],
    ['a chunk line without end', `5;${'a'.repeat(400)}`],
    ['a trailer that frames', '0\r\nContent-Length: 4\r\n\r\n'],
    ['a trailer that routes', '0\r\nHost: evil.example\r\n\r\n'],
    ['a folded trailer', '0\r\nX: 1\r\n 2\r\n\r\n'],
    ['trailers without end', `0\r\n${'X: 1\r\n'.repeat(400)}`],
  ])('is refused for %s', (_, text) => {
    expect(take(CHUNKED, text).state).toBe('fault');
  });

  it('comes out as it went in, for any chunks in any pieces', () => {
    const chunk = fc.string({ minLength: 1, maxLength: 40, unit: 'binary-ascii' });
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 6 }), fc.integer({ min: 1, max: 30 }), (chunks, size) => {
        const text = `${chunks.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')}0\r\n\r\nNEXT`;
        expect(take(CHUNKED, text, size)).toMatchObject({
          body: chunks.join(''),
          rest: 'NEXT',
          state: 'done',
        });
      }),
    );
  });

  it('is survived whatever its bytes are', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('0', '5', 'a', '\r', '\n', ';', ':', ' ') }), (text) => {
        take(CHUNKED, text, 3);
      }),
    );
  });
});
