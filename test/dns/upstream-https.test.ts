import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { HttpsUpstream } from '../../dns/context.ts';
import { DNS_LIMITS, type DnsLimits } from '../../dns/limits.ts';
import { createUpstreamClient, type UpstreamClient } from '../../dns/upstream.ts';
import { type Authority, type Certificate, createAuthority } from './certificates.ts';
import { a, askedName, askedType, reply, soa } from './messages.ts';
import { address, type FakeUpstream, fakeUpstream, name } from './world.ts';

const LIMITS: DnsLimits = { ...DNS_LIMITS, secureTryMs: 500, datagramTryMs: 200, lookupMs: 5_000 };
const NEVER = new AbortController().signal;
const EXAMPLE = name('www.example.com');
const FOUND = { kind: 'addresses', addresses: ['192.0.2.7'] };
const MEDIA_TYPE = 'application/dns-message';

let authority: Authority;
let good: Certificate;
beforeAll(() => {
  authority = createAuthority();
  good = authority.sign('DNS:dns.example');
});
afterAll(() => authority.close());

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

interface HttpsServer extends HttpsUpstream {
  readonly requests: { readonly line: string; readonly host: string | undefined; readonly body: Buffer }[];
  connections(): number;
  close(): Promise<void>;
}

type HttpsScript = (body: Buffer, response: ServerResponse) => void;

async function httpsServer(certificate: Certificate, script: HttpsScript = answer): Promise<HttpsServer> {
  const requests: { line: string; host: string | undefined; body: Buffer }[] = [];
  let connections = 0;
  const server = createServer({ key: certificate.key, cert: certificate.cert }, (request, response) => {
    void readBody(request).then((body) => {
      requests.push({ line: `${request.method} ${request.url}`, host: request.headers.host, body });
      script(body, response);
    });
  });
  server.on('secureConnection', () => {
    connections += 1;
  });
  server.on('tlsClientError', () => {});
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const at = server.address();
  const made: HttpsServer = {
    protocol: 'https',
    address: address('127.0.0.1'),
    port: at !== null && typeof at === 'object' ? at.port : 0,
    serverName: name('dns.example'),
    path: '/dns-query',
    requests,
    connections: () => connections,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  open.push(made);
  return made;
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function respond(asked: Buffer): Buffer {
  return askedType(asked) === 1
    ? reply(asked, { answers: [a(askedName(asked), '192.0.2.7')] })
    : reply(asked, { authority: [soa('example.com', 60)] });
}

function answer(body: Buffer, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': MEDIA_TYPE }).end(respond(body));
}

/** The system's resolver of the test: it knows where dns.example is, and counts. */
async function finder(text: string): Promise<FakeUpstream> {
  const made = await fakeUpstream((asked) =>
    askedType(asked) === 1
      ? [reply(asked, { answers: [a('dns.example', text)] })]
      : [reply(asked, { authority: [soa('example', 60)] })],
  );
  open.push(made);
  return made;
}

function client(
  servers: readonly HttpsUpstream[],
  finders: readonly FakeUpstream[] = [],
  authorities: readonly string[] = [authority.cert],
): UpstreamClient {
  const made = createUpstreamClient({
    upstreams: () => servers,
    limits: LIMITS,
    authorities,
    finders: () => finders,
  });
  open.push(made);
  return made;
}

describe('DNS over HTTPS', () => {
  test('posts padded questions without an id of their own, on kept connections', async () => {
    const server = await httpsServer(good);
    const asking = client([server]);
    for (const text of ['a.example', 'b.example', 'c.example']) {
      expect(await asking.lookup(name(text), NEVER)).toEqual(FOUND);
    }
    expect(server.requests[0]).toMatchObject({
      line: 'POST /dns-query',
      host: `dns.example:${server.port}`,
    });
    expect(server.requests.map(({ body }) => [body.length, body.readUInt16BE(0)])).toEqual(
      Array.from({ length: 6 }, () => [128, 0]),
    );
    expect(server.connections()).toBeLessThanOrEqual(2);
  });

  test('finds a server by name once, through the system\u2019s resolvers, and asks them nothing else', async () => {
    const server = await httpsServer(good);
    const system = await finder('127.0.0.1');
    const asking = client([{ ...server, address: null }], [system]);
    expect(await asking.lookup(EXAMPLE, NEVER)).toEqual(FOUND);
    expect(await asking.lookup(name('b.example'), NEVER)).toEqual(FOUND);
    expect(new Set(system.asked.map(({ bytes }) => askedName(bytes)))).toEqual(new Set(['dns.example']));
    expect(system.asked).toHaveLength(2);
  });

  test('a name that the system does not find is a failure that says what to do', async () => {
    const server = await httpsServer(good);
    const system = await fakeUpstream((asked) => [reply(asked, { rcode: 3 })]);
    open.push(system);
    expect(await client([{ ...server, address: null }], [system]).lookup(EXAMPLE, NEVER)).toMatchObject({
      kind: 'failed',
      detail: expect.stringMatching(/do not find dns\.example; name its address/),
    });
  });

  test('an address that gives no answer is found anew', async () => {
    const server = await httpsServer(good);
    let at = '127.0.0.9';
    const system = await fakeUpstream((asked) => [
      reply(asked, askedType(asked) === 1 ? { answers: [a('dns.example', at, 0)] } : {}),
    ]);
    open.push(system);
    const asking = client([{ ...server, address: null }], [system]);
    expect(await asking.lookup(EXAMPLE, NEVER)).toMatchObject({ kind: 'failed' });
    at = '127.0.0.1';
    expect(await asking.lookup(name('b.example'), NEVER)).toEqual(FOUND);
  });
});

test.each([
  ['whose authority is unknown', 'DNS:dns.example', false, /does not trust/],
  ['whose certificate is for another name', 'DNS:other.example', true, /not for dns\.example/],
] as const)('a server %s gets no question', async (_case, names, isTrusted, expected) => {
  const server = await httpsServer(authority.sign(names));
  const found = await client([server], [], isTrusted ? [authority.cert] : []).lookup(EXAMPLE, NEVER);
  expect(found).toMatchObject({ kind: 'failed', detail: expect.stringMatching(expected) });
  expect(server.requests).toEqual([]);
});

describe('a server over HTTPS that misbehaves is passed over', () => {
  const faults: readonly (readonly [string, HttpsScript, RegExp])[] = [
    [
      'redirects',
      (_, response) => response.writeHead(307, { location: '/other' }).end(),
      /status 307, and redirects/,
    ],
    ['fails', (_, response) => response.writeHead(500).end(), /HTTP status 500/],
    [
      'answers with a page',
      (body, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(respond(body)),
      /no application\/dns-message/,
    ],
    [
      'answers without an end',
      (_, response) => {
        response.writeHead(200, { 'content-type': MEDIA_TYPE });
        response.write(Buffer.alloc(70_000));
      },
      /longer than any DNS message/,
    ],
    ['is silent', () => {}, /in time/],
    ['resets', (_, response) => response.socket?.destroy(), /./],
    [
      'answers another question',
      (body, response) => response.writeHead(200, { 'content-type': MEDIA_TYPE }).end(reply(body, { id: 7 })),
      /foreign/,
    ],
    [
      'talks nonsense',
      (_, response) => response.writeHead(200, { 'content-type': MEDIA_TYPE }).end(Buffer.alloc(99, 0xff)),
      /foreign/,
    ],
  ];

  test.each(faults)('it %s', async (_case, script, expected) => {
    const bad = await httpsServer(good, script);
    const next = await httpsServer(good);
    expect(await client([bad, next]).lookup(EXAMPLE, NEVER)).toEqual(FOUND);
    expect(await client([bad]).lookup(EXAMPLE, NEVER)).toMatchObject({
      kind: 'failed',
      detail: expect.stringMatching(expected),
    });
    expect(new Set(bad.requests.map(({ line }) => line))).toEqual(new Set(['POST /dns-query']));
  });
});
