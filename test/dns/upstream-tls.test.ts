import { once } from 'node:events';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { createServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { TlsUpstream } from '../../dns/context.ts';
import { DNS_LIMITS, type DnsLimits } from '../../dns/limits.ts';
import { createUpstreamClient, type UpstreamClient } from '../../dns/upstream.ts';
import { type Authority, type Certificate, createAuthority } from './certificates.ts';
import { a, askedName, askedType, reply, soa } from './messages.ts';
import { address, fakeUpstream, framed, name } from './world.ts';

/** Servers that misbehave in silence are waited for. */
const IMPATIENT: DnsLimits = { ...DNS_LIMITS, secureTryMs: 400 };
const NEVER = new AbortController().signal;
const EXAMPLE = name('www.example.com');
const SERVER_NAME = name('dns.example');

let authority: Authority;
let good: Certificate;
beforeAll(() => {
  authority = createAuthority();
  good = authority.sign('DNS:dns.example,IP:127.0.0.1');
});
afterAll(() => authority.close());

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

interface TlsServer extends TlsUpstream {
  readonly asked: Buffer[];
  /** Decrypted connections in all. */
  readonly connections: Socket[];
  close(): Promise<void>;
}

type TlsScript = (asked: Buffer, socket: Socket) => void;

/** Answers every question, or does what the script says with each. */
async function tlsServer(certificate: Certificate, script: TlsScript = answer): Promise<TlsServer> {
  const asked: Buffer[] = [];
  const connections: Socket[] = [];
  const raw = new Set<Socket>();
  const server = createServer({ key: certificate.key, cert: certificate.cert }, (socket) => {
    connections.push(socket);
    socket.on('error', () => {});
    let received: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        const message = received.subarray(2, end);
        received = received.subarray(end);
        asked.push(message);
        script(message, socket);
      }
    });
  });
  server.on('tlsClientError', () => {});
  server.on('connection', (socket) => raw.add(socket));
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const at = server.address();
  const made: TlsServer = {
    protocol: 'tls',
    address: address('127.0.0.1'),
    port: at !== null && typeof at === 'object' ? at.port : 0,
    serverName: SERVER_NAME,
    asked,
    connections,
    async close() {
      for (const socket of raw) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  open.push(made);
  return made;
}

function respond(asked: Buffer): Buffer {
  return askedType(asked) === 1
    ? reply(asked, { answers: [a(askedName(asked), '192.0.2.7')] })
    : reply(asked, { authority: [soa('example.com', 60)] });
}

function answer(asked: Buffer, socket: Socket): void {
  socket.write(framed(respond(asked)));
}

function client(
  servers: readonly TlsUpstream[],
  limits: DnsLimits = DNS_LIMITS,
  authorities: readonly string[] = [authority.cert],
): UpstreamClient {
  const made = createUpstreamClient({ upstreams: () => servers, limits, authorities });
  open.push(made);
  return made;
}

const FOUND = { kind: 'addresses', addresses: ['192.0.2.7'] };

describe('DNS over TLS', () => {
  test('carries many questions at a time on one connection, answers in any order', async () => {
    const held: (() => void)[] = [];
    const server = await tlsServer(good, (asked, socket) => {
      held.push(() => answer(asked, socket));
      if (held.length === 16) for (const send of held.reverse()) send();
    });
    const asking = client([server]);
    const names = Array.from({ length: 8 }, (_, index) => name(`n${index}.example.com`));
    const found = await Promise.all(names.map((it) => asking.lookup(it, NEVER)));
    expect(found).toEqual(names.map(() => FOUND));
    expect(server.connections).toHaveLength(1);
  });

  test('pads each question to a whole block', async () => {
    const server = await tlsServer(good);
    const asking = client([server]);
    for (const text of ['a.example', 'a-much-longer-name.of.some.example']) {
      expect(await asking.lookup(name(text), NEVER)).toEqual(FOUND);
    }
    expect(new Set(server.asked.map((it) => it.length))).toEqual(new Set([128]));
  });

  test('takes an address in the certificate where no name is given', async () => {
    const server = await tlsServer(good);
    expect(await client([{ ...server, serverName: server.address }]).lookup(EXAMPLE, NEVER)).toEqual(FOUND);
  });

  test('closes a connection that nothing waits on, and opens another for the next question', async () => {
    const server = await tlsServer(good);
    const asking = client([server], { ...DNS_LIMITS, secureIdleMs: 30 });
    await asking.lookup(EXAMPLE, NEVER);
    await expect.poll(() => server.connections[0]?.destroyed, { timeout: 5_000 }).toBe(true);
    expect(await asking.lookup(name('b.example'), NEVER)).toEqual(FOUND);
    expect(server.connections).toHaveLength(2);
  });

  test('asks again on a fresh connection where the server closed the kept one', async () => {
    let count = 0;
    const server = await tlsServer(good, (asked, socket) => {
      count += 1;
      if (count === 3) socket.destroy();
      else answer(asked, socket);
    });
    const asking = client([server]);
    await asking.lookup(EXAMPLE, NEVER);
    expect(await asking.lookup(name('b.example'), NEVER)).toEqual(FOUND);
    expect(server.connections).toHaveLength(2);
  });

  test('questions past the bound of a connection fail at once', async () => {
    const server = await tlsServer(good);
    expect(await client([server], { ...DNS_LIMITS, secureInFlight: 0 }).lookup(EXAMPLE, NEVER)).toMatchObject(
      {
        kind: 'failed',
        detail: expect.stringContaining('too many questions wait'),
      },
    );
  });

  test('close ends the connections', async () => {
    const server = await tlsServer(good);
    const asking = client([server]);
    await asking.lookup(EXAMPLE, NEVER);
    asking.close();
    await expect.poll(() => server.connections[0]?.destroyed, { timeout: 5_000 }).toBe(true);
    expect(await asking.lookup(name('b.example'), NEVER)).toMatchObject({ kind: 'failed' });
  });
});

describe('a server that cannot be believed gets no question', () => {
  async function failure(
    certificate: Certificate,
    authorities?: readonly string[],
    change: Partial<TlsUpstream> = {},
  ): Promise<string> {
    const server = await tlsServer(certificate);
    const found = await client([{ ...server, ...change }], DNS_LIMITS, authorities).lookup(EXAMPLE, NEVER);
    expect(server.asked).toEqual([]);
    return found.kind === 'failed' ? found.detail : found.kind;
  }

  test('whose authority is unknown', async () => {
    const detail = await failure(good, []);
    expect(detail).toMatch(/^tls:\/\/127\.0\.0\.1#dns\.example: .*NODE_EXTRA_CA_CERTS/);
  });

  test('whose certificate is for another name', async () => {
    const detail = await failure(authority.sign('DNS:other.example'));
    expect(detail).toMatch(/not for dns\.example; write the name/);
  });

  test('whose certificate is for a name alone, where an address was given', async () => {
    const detail = await failure(authority.sign('DNS:127.0.0.1,DNS:dns.example'), undefined, {
      serverName: address('127.0.0.1'),
    });
    expect(detail).toMatch(/not for 127\.0\.0\.1/);
  });

  test('whose certificate has expired', async () => {
    expect(await failure(authority.sign('DNS:dns.example', -1))).toMatch(/expired; check the clock/);
  });

  test('also where the environment turns verification off', async () => {
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      expect(await failure(good, [])).toMatch(/does not trust/);
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
  });

  test('nor one that speaks no TLS: nothing is asked in clear text', async () => {
    const plain = await fakeUpstream((asked) => [respond(asked)]);
    open.push(plain);
    const found = await client([
      { protocol: 'tls', address: plain.address, port: plain.port, serverName: SERVER_NAME },
    ]).lookup(EXAMPLE, NEVER);
    expect(found).toMatchObject({ kind: 'failed' });
    expect(plain.asked).toEqual([]);
  });
});

describe('a server over TLS that misbehaves is passed over', () => {
  const faults: readonly (readonly [string, TlsScript])[] = [
    ['is silent', () => {}],
    ['closes', (_, socket) => void socket.end()],
    [
      'answers another question',
      (asked, socket) => void socket.write(framed(reply(asked, { question: OTHER }))),
    ],
    ['answers with another id', (asked, socket) => void socket.write(framed(wrongId(asked)))],
    [
      'says that its answer is cut',
      (asked, socket) => void socket.write(framed(reply(asked, { truncated: true }))),
    ],
    ['stops within an answer', (asked, socket) => void socket.end(framed(respond(asked)).subarray(0, 20))],
    ['never stops talking', (asked, socket) => flood(wrongId(asked), socket)],
    ['talks nonsense', (_, socket) => void socket.write(Buffer.alloc(4_000, 0xff))],
  ];

  test.each(faults)('it %s', async (_case, script) => {
    const bad = await tlsServer(good, script);
    const next = await tlsServer(good);
    expect(await client([bad, next], IMPATIENT).lookup(EXAMPLE, NEVER)).toEqual(FOUND);
    expect(await client([bad], IMPATIENT).lookup(EXAMPLE, NEVER)).toMatchObject({ kind: 'failed' });
  });

  test('it is cut off at once where it sends what nobody asked for', async () => {
    const server = await tlsServer(good, (asked, socket) => flood(wrongId(asked), socket));
    expect(await client([server]).lookup(EXAMPLE, NEVER)).toMatchObject({
      detail: expect.stringContaining('nobody asked for'),
    });
  });

  test('it accepts and never shakes hands', async () => {
    const accepted = new Set<Socket>();
    const deaf = createTcpServer((socket) => accepted.add(socket)).listen({ port: 0, host: '127.0.0.1' });
    await once(deaf, 'listening');
    const at = deaf.address();
    const port = at !== null && typeof at === 'object' ? at.port : 0;
    const next = await tlsServer(good);
    const found = await client([{ ...next, port }, next], IMPATIENT).lookup(EXAMPLE, NEVER);
    expect(found).toEqual(FOUND);
    for (const socket of accepted) socket.destroy();
    deaf.close();
  });
});

const OTHER = Buffer.concat([Buffer.from('\x04evil\x07example\0', 'latin1'), Buffer.from([0, 1, 0, 1])]);

function wrongId(asked: Buffer): Buffer {
  return reply(asked, { id: asked.readUInt16BE(0) ^ 1 });
}

function flood(message: Buffer, socket: Socket): void {
  if (socket.writable) socket.write(framed(message), () => setImmediate(() => flood(message, socket)));
}

test('where every server fails, each is named with its reason', async () => {
  const one = await tlsServer(authority.sign('DNS:dns.example', -1));
  const found = await client([one, { ...one, serverName: name('other.example') }]).lookup(EXAMPLE, NEVER);
  expect(found).toMatchObject({
    detail: expect.stringMatching(
      /^tls:\/\/127\.0\.0\.1#dns\.example: .*; tls:\/\/127\.0\.0\.1#other\.example: /,
    ),
  });
});
