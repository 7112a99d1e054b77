import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHead, type RequestHead, scanHead } from '../../proxy/head.ts';

function read(
  text: string,
): ReturnType<typeof parseHead> | { ok: false; fault: { status: number; reason: string } } {
  const bytes = Buffer.from(text, 'latin1');
  const scan = scanHead(bytes, 0);
  if (scan.kind === 'fault') return { ok: false, fault: scan.fault };
  if (scan.kind === 'more') return { ok: false, fault: { status: 0, reason: 'incomplete' } };
  return parseHead(bytes.subarray(0, scan.end));
}

function headOf(...lines: string[]): RequestHead {
  const result = read(`${lines.join('\r\n')}\r\n\r\n`);
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.fault)}`);
  return result.head;
}

const GET = 'GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n';

describe('a request head', () => {
  it('is read with its fields in order, names as sent and values trimmed', () => {
    const head = headOf('GET /x?y HTTP/1.1', 'Host: a.example', 'X-One:1', 'x-one: \t 2 \t');
    expect(head.method).toBe('GET');
    expect(head.target).toBe('/x?y');
    expect(head.fields).toEqual([
      { name: 'Host', key: 'host', value: 'a.example' },
      { name: 'X-One', key: 'x-one', value: '1' },
      { name: 'x-one', key: 'x-one', value: '2' },
    ]);
    expect(head.framing).toEqual({ kind: 'none' });
    expect(head.persistent).toBe(true);
  });

  it('knows the framings of a body', () => {
    expect(headOf('POST / HTTP/1.1', 'Host: a', 'Content-Length: 12').framing).toEqual({
      kind: 'length',
      bytes: 12,
    });
    expect(headOf('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: Chunked').framing).toEqual({
      kind: 'chunked',
    });
    expect(headOf('POST / HTTP/1.1', 'Host: a', 'Content-Length: 0').framing).toEqual({ kind: 'none' });
  });

  it('keeps no HTTP/1.0 connection, nor one that says close', () => {
    expect(headOf('GET / HTTP/1.0').persistent).toBe(false);
    expect(headOf('GET / HTTP/1.0', 'Connection: keep-alive').persistent).toBe(false);
    expect(headOf('GET / HTTP/1.1', 'Host: a', 'Connection: x, Close').persistent).toBe(false);
  });

  it('accepts a websocket upgrade', () => {
    const head = headOf('GET / HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: WebSocket');
    expect(head.upgrade).toBe('websocket');
  });
});

describe('an ambiguous request head is refused', () => {
  const attacks: [name: string, text: string, status: number][] = [
    [
      'both Content-Length and Transfer-Encoding',
      `${GET}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n`,
      400,
    ],
    ['two Content-Length fields', `${GET}Content-Length: 3\r\nContent-Length: 3\r\n\r\n`, 400],
    ['a list in Content-Length', `${GET}Content-Length: 3, 3\r\n\r\n`, 400],
    ['a signed Content-Length', `${GET}Content-Length: +3\r\n\r\n`, 400],
    ['a hexadecimal Content-Length', `${GET}Content-Length: 0x3\r\n\r\n`, 400],
    ['a Content-Length beyond exact numbers', `${GET}Content-Length: 99999999999999999\r\n\r\n`, 400],
    [
      'two Transfer-Encoding fields',
      `${GET}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
      400,
    ],
    ['a transfer coding other than chunked', `${GET}Transfer-Encoding: gzip, chunked\r\n\r\n`, 501],
    ['a misspelt transfer coding', `${GET}Transfer-Encoding: xchunked\r\n\r\n`, 501],
    ['Transfer-Encoding in HTTP/1.0', 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    ['a folded line', `${GET}X-A: 1\r\n  2\r\n\r\n`, 400],
    ['a bare LF after a field', `${GET}X-A: 1\nX-B: 2\r\n\r\n`, 400],
    ['a bare LF after the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 400],
    ['a bare CR in a value', `${GET}X-A: 1\rX-B: 2\r\n\r\n`, 400],
    ['NUL in a value', `${GET}X-A: 1\u00002\r\n\r\n`, 400],
    ['a control character in a value', `${GET}X-A: 1\u00012\r\n\r\n`, 400],
    ['white space before a colon', `${GET}Content-Length : 3\r\n\r\n`, 400],
    ['white space in a name', `${GET}X A: 3\r\n\r\n`, 400],
    ['a line without a colon', `${GET}Content-Length\r\n\r\n`, 400],
    ['an empty name', `${GET}: 3\r\n\r\n`, 400],
    ['two Host fields', `${GET}Host: a.example\r\n\r\n`, 400],
    ['no Host field in HTTP/1.1', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['a name that objects have', `${GET}__proto__: x\r\n\r\n`, 400],
    ['a method in small letters', 'get / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['two spaces in the request line', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a tab in the request line', 'GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['white space behind the version', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n', 400],
    ['no version', 'GET /\r\nHost: a\r\n\r\n', 400],
    ['HTTP/2.0', 'PRI * HTTP/2.0\r\n\r\n', 505],
    ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', 505],
    ['HTTP/0.9', 'GET / HTTP/0.9\r\n\r\n', 505],
    ['an empty line first', '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['another expectation', `${GET}Expect: 200-maybe\r\n\r\n`, 417],
    ['too many fields', `${GET}${'X: 1\r\n'.repeat(201)}\r\n`, 431],
    ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 405],
    ['TRACK', 'TRACK / HTTP/1.1\r\nHost: a\r\n\r\n', 405],
    ['CONNECT with a length', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 1\r\n\r\n', 400],
    [
      'CONNECT with chunks',
      'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    [
      'an upgrade to h2c',
      `${GET}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n`,
      501,
    ],
    ['h2c beside websocket', `${GET}Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n`, 501],
    ['an upgrade to TLS', `${GET}Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n`, 501],
    ['an upgrade that Connection does not name', `${GET}Upgrade: websocket\r\n\r\n`, 400],
    [
      'an upgrade with a body',
      `${GET}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n`,
      400,
    ],
  ];

  it.each(attacks)('%s', (_, text, status) => {
    const result = read(text);
    expect(result.ok).toBe(false);
    expect(result.ok ? null : result.fault.status).toBe(status);
    expect(result.ok ? null : result.fault.reason).toMatch(/^(request-malformed|method-refused|limit-size)$/);
  });

  it('while the same request without the attack is read', () => {
    expect(read(`${GET}Content-Length: 3\r\n\r\n`).ok).toBe(true);
    expect(read(`${GET}Expect: 100-continue\r\n\r\n`).ok).toBe(true);
    expect(read('CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 0\r\n\r\n').ok).toBe(true);
  });
});

describe('the end of a head', () => {
  it('is found at the same place however the bytes arrive', () => {
    const text = `${GET}X: y\r\n\r\nrest`;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: text.length }), (cut) => {
        const bytes = Buffer.from(text, 'latin1');
        const early = scanHead(bytes.subarray(0, cut), 0);
        if (early.kind === 'head') return early.end === text.length - 4;
        const late = scanHead(bytes, early.kind === 'more' ? cut : 0);
        return early.kind === 'more' && late.kind === 'head' && late.end === text.length - 4;
      }),
    );
  });

  it('is not looked for behind bytes that start no request', () => {
    expect(scanHead(Buffer.from([0x80]), 0).kind).toBe('fault');
    expect(scanHead(Buffer.from('SSH-2.0-x'), 0).kind).toBe('more');
    expect(scanHead(Buffer.from('SSH-2.0-x\r\n'), 0).kind).toBe('fault');
    expect(scanHead(Buffer.from('GET / HTTP/1.1\r\n'), 0).kind).toBe('more');
  });
});

describe('any bytes as a head', () => {
  it('are survived, and what is read has one Host and one framing at most', () => {
    const piece = fc.constantFrom(
      'GET ',
      '/',
      ' HTTP/1.1',
      '\r\n',
      '\n',
      '\r',
      ':',
      ' ',
      '\t',
      'Host: a',
      'Content-Length: 1',
      'Transfer-Encoding: chunked',
      'Connection: close',
      'Upgrade: h2c',
      '\0',
      'é',
      'http://a/',
      'X',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 24 }), (pieces) => {
        const result = read(`${pieces.join('')}\r\n\r\n`);
        if (!result.ok) return;
        const keys = result.head.fields.map((field) => field.key);
        expect(keys.filter((key) => key === 'host').length).toBeLessThan(2);
        expect(
          keys.filter((key) => key === 'content-length' || key === 'transfer-encoding').length,
        ).toBeLessThan(2);
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        scanHead(Buffer.from(bytes), 0);
        parseHead(Buffer.from(bytes));
      }),
    );
  });

  it('are read in linear time', () => {
    const blanks = `GET / HTTP/1.1\r\nHost: a\r\nX: a${' '.repeat(16_000)}b\r\n\r\n`;
    expect(read(blanks).ok).toBe(true);
  });
});
