import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joinRecords, readClientHello } from '../../proxy/client-hello.ts';
import { extension, type HelloShape, handshakeOf, helloBytes, recordOf, serverNames } from './hello-bytes.ts';

const LIMIT = 16 * 1024 + 5;

async function read(bytes: Buffer): Promise<string> {
  const step = joinRecords(bytes, LIMIT);
  if (step.kind === 'malformed') return step.detail;
  if (step.kind !== 'whole') return step.kind;
  const result = await readClientHello(step.handshake);
  return result.ok ? `${result.hello.sni ?? '-'} ${result.hello.alpn.join(',')}`.trim() : result.detail;
}

/** What node:tls sends first. */
function realHello(servername: string, ALPNProtocols: string[]): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _, done) {
        resolve(chunk);
        done();
      },
    });
    connect({ socket, servername, ALPNProtocols }).on('error', () => {});
  });
}

describe('a ClientHello', () => {
  it('of a real client is read', async () => {
    expect(await read(await realHello('a.example', ['h2', 'http/1.1']))).toBe('a.example h2,http/1.1');
  });

  it('is read over any number of records and segments', async () => {
    const shape: HelloShape = { names: ['a.example'], alpn: ['h2'] };
    const size = handshakeOf(shape).length;
    for (const fragment of [size, size - 1, Math.ceil(size / 2), 5, 4]) {
      const bytes = helloBytes(shape, fragment);
      for (let at = 0; at < bytes.length; at += 1) {
        expect(joinRecords(bytes.subarray(0, at), LIMIT).kind).toBe('more');
      }
      expect(await read(bytes)).toBe('a.example h2');
    }
  });

  it('leaves what follows its last record alone', () => {
    const bytes = helloBytes({ names: ['a.example'] });
    const step = joinRecords(Buffer.concat([bytes, recordOf(Buffer.from([1]), 20)]), LIMIT);
    expect(step).toMatchObject({ kind: 'whole', used: bytes.length });
  });

  it('without a server name says so, and with a name in capitals is folded', async () => {
    expect(await read(helloBytes({}))).toBe('-');
    expect(await read(helloBytes({ names: ['A.Example'] }))).toBe('a.example');
  });

  const broken: [name: string, bytes: Buffer, said: RegExp][] = [
    ['two server names', helloBytes({ names: ['a.example', 'b.example'] }), /more than one server name/],
    [
      'the extension twice',
      helloBytes({ names: ['a.example'], extra: [serverNames(['b.example'])] }),
      /twice/,
    ],
    ['NUL in the name', helloBytes({ names: ['a.example\0.evil.example'] }), /not ASCII/],
    ['a space in the name', helloBytes({ names: ['a.example '] }), /not ASCII/],
    ['an address as name', helloBytes({ names: ['127.0.0.1'] }), /is an address/],
    ['a number as name', helloBytes({ names: ['2130706433'] }), /reads as a number/],
    ['an empty name', helloBytes({ names: [''] }), /cannot be read/],
    [
      'a name of another type',
      helloBytes({ extra: [extension(0, Buffer.from([0, 4, 1, 0, 1, 97]))] }),
      /unknown type/,
    ],
    [
      'a name list that lies',
      helloBytes({ extra: [extension(0, Buffer.from([0, 9, 0, 0, 1, 97]))] }),
      /list is broken/,
    ],
    [
      'bytes behind its extensions',
      helloBytes({ names: ['a.example'], tail: Buffer.from([0]) }),
      /data follows/,
    ],
    [
      'an extension past the end',
      helloBytes({ extra: [Buffer.from([0, 99, 0, 9, 1])] }),
      /runs past the end/,
    ],
    ['no extensions', helloBytes({ withoutExtensions: true }), /no extensions/],
    [
      'another message in its record',
      recordOf(Buffer.concat([handshakeOf({ names: ['a.example'] }), Buffer.from([1, 0, 0, 0])])),
      /other data follows/,
    ],
    [
      'another record in the middle',
      Buffer.concat([
        recordOf(handshakeOf({ names: ['a.example'] }).subarray(0, 40)),
        recordOf(Buffer.from([1]), 20),
      ]),
      /another record interrupts/,
    ],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0]), /length that TLS forbids/],
    ['another handshake message', recordOf(Buffer.from([2, 0, 0, 0])), /does not begin/],
    ['a length beyond its bound', recordOf(Buffer.from([1, 0x7f, 0xff, 0xff])), /too long/],
    ['a record for every byte', helloBytes({ names: ['a.example'] }, 1), /too many records/],
  ];
  it.each(broken)('is refused with %s', async (_, bytes, said) => {
    expect(await read(bytes)).toMatch(said);
  });

  it('is not looked for in bytes that are not TLS', async () => {
    expect(await read(Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'))).toBe('not-tls');
    expect(await read(Buffer.from([22, 2, 0]))).toBe('not-tls');
  });
});

describe('any bytes as a ClientHello', () => {
  it('are survived, and a name that is read is a canonical one', async () => {
    const whole = helloBytes({
      names: ['a.example'],
      alpn: ['h2'],
      extra: [extension(10, Buffer.from([0, 2, 0, 29]))],
    });
    const change = fc.record({ at: fc.nat(whole.length - 1), to: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.nat(whole.length),
        async (changes, cut) => {
          const bytes = Buffer.from(whole);
          for (const { at, to } of changes) bytes[at] = to;
          const step = joinRecords(cut % 2 === 0 ? bytes : bytes.subarray(0, cut), LIMIT);
          if (step.kind !== 'whole') return;
          const result = await readClientHello(step.handshake);
          if (result.ok && result.hello.sni !== null) expect(result.hello.sni).toMatch(/^[a-z0-9_.-]+$/);
        },
      ),
      { numRuns: 400 },
    );
  });
});
