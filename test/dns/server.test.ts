import { createSocket, Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { QueryOrigin } from '../../dns/context.ts';
import { DNS_LIMITS, type DnsLimits, MAX_DATAGRAM_BYTES } from '../../dns/limits.ts';
import type { Answer, Question } from '../../dns/message.ts';
import type { QueryHandler } from '../../dns/resolver.ts';
import { createDnsServer, type DnsServer } from '../../dns/server.ts';
import type { QueryFault } from '../../dns/wire.ts';
import { opt, query, readResponse, u16 } from './messages.ts';
import { address, askDatagram, askStream, framed } from './world.ts';

const LOOPBACK = address('127.0.0.1');
const PLACE = { asker: 'guest', mode: 'synthetic' } as const;

interface Recorder extends QueryHandler {
  readonly questions: (readonly [Question, QueryOrigin])[];
  readonly faults: QueryFault[];
}

function handler(answer: (question: Question) => Answer | Promise<Answer> = small): Recorder {
  const questions: [Question, QueryOrigin][] = [];
  const faults: QueryFault[] = [];
  return {
    questions,
    faults,
    answer: async (question, origin) => {
      questions.push([question, origin]);
      return answer(question);
    },
    recordFault: (fault) => faults.push(fault),
  };
}

function small(): Answer {
  return {
    rcode: 'NOERROR',
    records: [{ type: 'A', data: '198.18.1.1' }],
    ttlSeconds: 60,
    extendedError: null,
  };
}

function large(): Answer {
  const records = Array.from(
    { length: 200 },
    (_, index) => ({ type: 'A', data: `192.0.2.${index}` }) as const,
  );
  return { ...small(), records };
}

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

function server(handling: QueryHandler, limits: DnsLimits = DNS_LIMITS, faults: unknown[] = []): DnsServer {
  const created = createDnsServer({ handler: handling, limits, onFault: (error) => faults.push(error) });
  open.push(() => created.close());
  return created;
}

async function bound(dns: DnsServer): Promise<number> {
  const result = await dns.bind(LOOPBACK, 0, PLACE);
  if (!result.ok) throw new Error(result.detail);
  return result.port;
}

async function client(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  open.push(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function whenClosed(socket: Socket): Promise<void> {
  socket.resume();
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
}

describe('answers', () => {
  test('UDP and TCP answer alike on one port of the address that was asked for', async () => {
    const handling = handler();
    const port = await bound(server(handling));
    const asked = query('eXample.com', { edns: 1232 });
    const datagram = readResponse((await askDatagram(port, asked)) ?? Buffer.alloc(0));
    const [stream] = await askStream(port, framed(asked), 1);
    expect(readResponse(stream ?? Buffer.alloc(0))).toEqual(datagram);
    expect(datagram).toMatchObject({
      id: 0x1234,
      rcode: 0,
      name: 'eXample.com',
      recursionAvailable: true,
      answers: [{ type: 1, ttl: 60, data: '198.18.1.1' }],
      edns: { size: MAX_DATAGRAM_BYTES, error: null },
    });
    expect(handling.questions.map(([, origin]) => origin.transport)).toEqual(['udp', 'tcp']);
  });

  test('a client without EDNS gets no OPT; one with EDNS gets one, with the extended error', async () => {
    const denied: Answer = {
      ...small(),
      rcode: 'NXDOMAIN',
      records: [],
      extendedError: { code: 15, text: 'sand: deny-rule' },
    };
    const port = await bound(server(handler(() => denied)));
    const plain = readResponse((await askDatagram(port, query('example.com'))) ?? Buffer.alloc(0));
    expect(plain).toMatchObject({ rcode: 3, edns: null });
    const extended = readResponse(
      (await askDatagram(port, query('example.com', { edns: 512 }))) ?? Buffer.alloc(0),
    );
    expect(extended.edns?.error).toEqual({ code: 15, text: 'sand: deny-rule' });
  });

  test('an answer over UDP never exceeds 1,232 bytes, whatever EDNS size the client claims', async () => {
    const port = await bound(server(handler(large)));
    const bytes = (await askDatagram(port, query('example.com', { edns: 65_535 }))) ?? Buffer.alloc(0);
    expect(bytes.length).toBeLessThanOrEqual(MAX_DATAGRAM_BYTES);
    expect(readResponse(bytes)).toMatchObject({
      truncated: true,
      answers: [],
      name: 'example.com',
      edns: { error: null },
    });
    const [whole] = await askStream(port, framed(query('example.com', { edns: 65_535 })), 1);
    expect(readResponse(whole ?? Buffer.alloc(0)).answers).toHaveLength(200);
  });

  test('a handler that fails is a SERVFAIL, not silence', async () => {
    const port = await bound(server(handler(() => Promise.reject(new Error('bug')))));
    expect(readResponse((await askDatagram(port, query('example.com'))) ?? Buffer.alloc(0)).rcode).toBe(2);
  });

  test('an OPT record that the codec cannot decode is FORMERR and recorded', async () => {
    const handling = handler();
    const port = await bound(server(handling));
    const broken = opt(1232, 0, u16(8, 40, 1));
    const asked = query('example.com', { counts: [1, 0, 0, 1], tail: broken });
    expect(readResponse((await askDatagram(port, asked)) ?? Buffer.alloc(0)).rcode).toBe(1);
    const [stream] = await askStream(port, framed(asked), 1);
    expect(readResponse(stream ?? Buffer.alloc(0)).rcode).toBe(1);
    expect([handling.questions.length, handling.faults.length]).toEqual([0, 2]);
  });
});

describe('dns2\u2019s weaknesses', () => {
  test('a datagram from source port 0 is dropped and ends nothing', async () => {
    const handling = handler();
    const faults: unknown[] = [];
    const dns = server(handling, DNS_LIMITS, faults);
    const binding = vi.spyOn(DatagramSocket.prototype, 'bind');
    const port = await bound(dns);
    const attached = createSocket('udp4');
    attached.bind({ port: 0, address: '127.0.0.1' });
    await once(attached, 'listening');
    dns.attachDatagram(attached, PLACE);
    const sockets = new Set(binding.mock.contexts);
    binding.mockRestore();
    expect(sockets.size).toBe(2);
    const from = { address: '127.0.0.1', family: 'IPv4', port: 0, size: 29 } as const;
    for (const socket of sockets as Set<DatagramSocket>) socket.emit('message', query('example.com'), from);
    expect(await askDatagram(port, query('example.com'))).not.toBeNull();
    expect(handling.questions).toHaveLength(1);
    expect(faults).toEqual([]);
  });

  test('a send that fails is told and ends nothing', async () => {
    const faults: unknown[] = [];
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const asked: Question[] = [];
    const dns = server(
      handler(async (question) => {
        asked.push(question);
        await held;
        return small();
      }),
      DNS_LIMITS,
      faults,
    );
    const port = await bound(dns);
    const socket = createSocket('udp4');
    open.push(() => socket.close());
    socket.send(query('example.com'), port, '127.0.0.1');
    await expect.poll(() => asked.length).toBe(1);
    await dns.close();
    release();
    await expect.poll(() => faults.length).toBe(1);
  });

  test('a pointer bomb is refused by its size and counts, not parsed', async () => {
    const handling = handler();
    const port = await bound(server(handling));
    const pointers = Buffer.concat(Array.from({ length: 100 }, () => u16(0xc00c, 1, 1, 0, 9, 0)));
    const bomb = query('example.com', { counts: [1, 100, 0, 0], tail: pointers });
    expect(readResponse((await askDatagram(port, bomb)) ?? Buffer.alloc(0)).rcode).toBe(1);
    const huge = query('example.com', { counts: [1, 0, 0, 1], tail: Buffer.alloc(60_000, 0xc0) });
    expect(readResponse((await askDatagram(port, huge)) ?? Buffer.alloc(0)).rcode).toBe(1);
    expect(await askStream(port, framed(huge), 1)).toEqual([]);
    expect(handling.questions).toHaveLength(0);
  });

  test('a response sent as a query gets no answer; the next query does', async () => {
    const handling = handler();
    const port = await bound(server(handling));
    const socket = createSocket('udp4');
    open.push(() => socket.close());
    socket.send(query('example.com', { flags: 0x8180, id: 1 }), port, '127.0.0.1');
    socket.send(query('example.com', { id: 2 }), port, '127.0.0.1');
    const [bytes] = await once(socket, 'message');
    expect(readResponse(bytes).id).toBe(2);
    expect([handling.questions.length, handling.faults.length]).toEqual([1, 0]);
  });

  test('other opcodes are NOTIMP, no question is FORMERR, and the handler never sees either', async () => {
    const handling = handler();
    const port = await bound(server(handling));
    const ask = async (bytes: Buffer): Promise<number> =>
      readResponse((await askDatagram(port, bytes)) ?? Buffer.alloc(0)).rcode;
    expect(await ask(query('example.com', { flags: 5 << 11 }))).toBe(4);
    expect(await ask(u16(1, 0x0100, 0, 0, 0, 0))).toBe(1);
    expect([handling.questions.length, handling.faults.length]).toEqual([0, 2]);
  });

  test('a dotted or NUL label is FORMERR: no two readings of one name', async () => {
    const handling = handler();
    const port = await bound(server(handling));
    for (const labels of [['evil.com\0', 'allowed.com'], ['allowed.com'], ['a\0b', 'com']]) {
      expect(readResponse((await askDatagram(port, query(labels))) ?? Buffer.alloc(0)).rcode).toBe(1);
    }
    expect(handling.questions).toHaveLength(0);
    expect(handling.faults[0]?.name).toBe('evil\\046com\\000.allowed\\046com');
  });

  test('port 0 binds loopback alone, over TCP too', async () => {
    const result = await server(handler()).bind(LOOPBACK, 0, PLACE);
    expect(result).toMatchObject({ ok: true, address: '127.0.0.1' });
    const other = connect({ port: result.ok ? result.port : 0, host: '127.0.0.2' });
    const [error] = await once(other, 'error').catch((thrown: unknown) => [thrown]);
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('a bind error settles', async () => {
    const taken = createServer();
    taken.listen({ port: 0, host: '127.0.0.1' });
    await once(taken, 'listening');
    open.push(() => taken.close());
    const at = taken.address();
    const port = at !== null && typeof at === 'object' ? at.port : 0;
    const dns = server(handler());
    expect(await dns.bind(LOOPBACK, port, PLACE)).toMatchObject({ ok: false, code: 'port-in-use' });
    await dns.close();
    const free = createSocket('udp4');
    free.bind({ port, address: '127.0.0.1', exclusive: true });
    await once(free, 'listening');
    free.close();
  });

  test('close ends 500 silent TCP clients at once', async () => {
    const dns = server(handler(), { ...DNS_LIMITS, streamConnections: 500, streamIdleMs: 600_000 });
    const port = await bound(dns);
    const clients = await Promise.all(Array.from({ length: 500 }, () => client(port)));
    const closed = clients.map(whenClosed);
    await dns.close();
    await Promise.all(closed);
  });

  test('bytes that trickle in do not keep a TCP connection', async () => {
    const port = await bound(server(handler(), { ...DNS_LIMITS, streamIdleMs: 100 }));
    const socket = await client(port);
    const drip = setInterval(() => socket.write(Buffer.from([1])), 20);
    socket.write(u16(1_000));
    await whenClosed(socket);
    clearInterval(drip);
  });

  test('connections past the limit are destroyed at once, and a free place is given again', async () => {
    const port = await bound(server(handler(), { ...DNS_LIMITS, streamConnections: 2 }));
    const first = await client(port);
    const second = await client(port);
    expect(await askStream(port, framed(query('example.com')), 1)).toEqual([]);
    first.destroy();
    await expect.poll(async () => (await askStream(port, framed(query('example.com')), 1)).length).toBe(1);
    second.destroy();
  });
});

describe('streams', () => {
  test('several queries on one connection are answered, also after a half-close', async () => {
    const port = await bound(server(handler()));
    const ids = Array.from({ length: 40 }, (_, index) => index + 1);
    const bytes = Buffer.concat(ids.map((id) => framed(query('example.com', { id }))));
    const answers = await askStream(port, bytes, 100, true);
    expect(answers.map((it) => readResponse(it).id).toSorted((x, y) => x - y)).toEqual(ids);
  });

  test('no more than the pipeline limit are in hand at a time', async () => {
    let inHand = 0;
    let most = 0;
    const port = await bound(
      server(
        handler(async () => {
          inHand += 1;
          most = Math.max(most, inHand);
          await new Promise((resolve) => setImmediate(resolve));
          inHand -= 1;
          return small();
        }),
        { ...DNS_LIMITS, streamPipelined: 3 },
      ),
    );
    const bytes = Buffer.concat(Array.from({ length: 50 }, () => framed(query('example.com'))));
    expect(await askStream(port, bytes, 50)).toHaveLength(50);
    expect(most).toBe(3);
  });

  test('a message that arrives byte by byte is read', async () => {
    const port = await bound(server(handler()));
    const socket = await client(port);
    for (const byte of framed(query('example.com'))) socket.write(Buffer.from([byte]));
    const [answer] = await once(socket, 'data');
    expect(readResponse(answer.subarray(2)).id).toBe(0x1234);
  });
});

describe('handed-over sockets', () => {
  test('a datagram socket that another bound is served and closed', async () => {
    const handling = handler();
    const dns = server(handling);
    const socket = createSocket('udp4');
    socket.bind({ port: 0, address: '127.0.0.1' });
    await once(socket, 'listening');
    const { port } = socket.address();
    dns.attachDatagram(socket, PLACE);
    expect(
      readResponse((await askDatagram(port, query('example.com', { edns: 1232 }))) ?? Buffer.alloc(0))
        .answers,
    ).toHaveLength(1);
    expect(handling.questions[0]?.[1]).toEqual({ ...PLACE, transport: 'udp' });
    const closed = once(socket, 'close');
    await dns.close();
    await closed;
  });

  test('a server that another bound, and a single connection, are served and closed', async () => {
    const dns = server(handler());
    const listening = createServer();
    const single = createServer((socket) => dns.attachStream(socket, PLACE));
    for (const it of [listening, single]) {
      it.listen({ port: 0, host: '127.0.0.1' });
      await once(it, 'listening');
    }
    open.push(() => single.close());
    dns.attachStream(listening, PLACE);
    for (const it of [listening, single]) {
      const at = it.address();
      const port = at !== null && typeof at === 'object' ? at.port : 0;
      expect(await askStream(port, framed(query('example.com')), 1, true)).toHaveLength(1);
    }
    const closed = once(listening, 'close');
    await dns.close();
    await closed;
  });

  test('what is handed over after close is closed', async () => {
    const dns = server(handler());
    await dns.close();
    const socket = createSocket('udp4');
    socket.bind({ port: 0, address: '127.0.0.1' });
    await once(socket, 'listening');
    const closed = once(socket, 'close');
    dns.attachDatagram(socket, PLACE);
    await closed;
  });
});

test('any bytes are survived over UDP and TCP', async () => {
  const faults: unknown[] = [];
  const port = await bound(server(handler(), DNS_LIMITS, faults));
  const socket = createSocket('udp4');
  open.push(() => socket.close());
  const base = query('www.example.com', { edns: 1232, tail: Buffer.alloc(0) });
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 4 }),
      async (bytes, edits) => {
        const mutated = Buffer.from(base);
        for (const [at, value] of edits) mutated.writeUInt8(value, at);
        await new Promise((resolve) => socket.send(Buffer.from(bytes), port, '127.0.0.1', resolve));
        await new Promise((resolve) => socket.send(mutated, port, '127.0.0.1', resolve));
        await askStream(port, Buffer.concat([framed(mutated), Buffer.from(bytes)]), 2, true);
      },
    ),
    { numRuns: 200 },
  );
  expect(await askDatagram(port, query('example.com'))).not.toBeNull();
});
