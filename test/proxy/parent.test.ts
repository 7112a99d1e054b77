import { createServer, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readConnectAnswer } from '../../proxy/connect-answer.ts';
import type { Lookup, ParentProxies, ParentProxy } from '../../proxy/context.ts';
import { PROXY_BOUNDS } from '../../proxy/limits.ts';
import { helloBytes } from './hello-bytes.ts';
import { addressOf, eventually, policyOf, RawOrigin, Rig, type RigOptions } from './rig.ts';

const SECRET = 'c2FuZDpzM2NyZXQ=';
const AUTHORIZATION = `Basic ${SECRET}`;
const OUTSIDE: Lookup = { kind: 'addresses', addresses: [addressOf('203.0.113.7')] };
const ALERT = Buffer.from([21, 3, 3, 0, 2, 2, 80]).toString('latin1');

const POLICY = `  - allow: [a.example, b.example, missing.example]
    http: [80]
    https: [443]
  - allow: [ssh.example, ssh.missing.example]
    tcp: [22]
  - allow: [kept.example, kept.missing.example]
    http: [80]
    tcp: [5432]
    addresses: [203.0.113.0/24]
  - allow: here.example
    tcp: [22]
    addresses: [127.0.0.0/8, 169.254.0.0/16]
`;

const headersOf = ({ headers, rawHeaders }: IncomingMessage) => ({ headers, rawHeaders });

/** A parent as companies run them: it wants credentials, and knows every name: all are at the test's origin. */
class Parent {
  readonly heads: { line: string; headers: IncomingMessage['headers']; rawHeaders: string[] }[] = [];
  authorization = AUTHORIZATION;
  originPort = 0;

  readonly server = createServer((incoming, response) => {
    this.heads.push({ line: `${incoming.method} ${incoming.url}`, ...headersOf(incoming) });
    if (incoming.headers['proxy-authorization'] !== this.authorization) {
      response.writeHead(407, { 'proxy-authenticate': 'Basic realm="corp"' }).end('who are you');
      return;
    }
    const url = new URL(incoming.url ?? '');
    const headers = { ...incoming.headers, host: url.host };
    const path = `${url.pathname}${url.search}`;
    const { method } = incoming;
    const onward = request({ host: '127.0.0.1', port: this.originPort, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    incoming.pipe(onward);
  }).on('connect', (incoming: IncomingMessage, socket: Socket) => {
    this.heads.push({ line: `CONNECT ${incoming.url}`, ...headersOf(incoming) });
    socket.on('error', () => {});
    if (incoming.headers['proxy-authorization'] !== this.authorization) {
      socket.end('HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="corp"\r\nContent-Length: 3\r\n\r\nwho');
      return;
    }
    const onward = connect(this.originPort, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\nVia: 1.1 corp\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
  });
}

function parentsAt(port: number, rest: Partial<ParentProxy> = {}, found?: Lookup): ParentProxies {
  const host = { kind: 'address', address: addressOf('127.0.0.1') } as const;
  const parent = { host, port, secure: false, authorization: AUTHORIZATION, ...rest };
  return { parentOf: () => parent, lookup: async () => found ?? { kind: 'not-found' } };
}

async function rigWith(parents: ParentProxies, options: RigOptions = {}): Promise<Rig> {
  const lookups = {
    'a.example': OUTSIDE,
    'b.example': OUTSIDE,
    'ssh.example': OUTSIDE,
    'kept.example': OUTSIDE,
    ...options.lookups,
  };
  return new Rig({ policy: policyOf(POLICY), ...options, lookups, parents });
}

/** A rig behind a parent, and an origin that only the parent reaches. */
async function withParent(options: RigOptions = {}) {
  const parent = new Parent();
  const http: string[] = [];
  const origin = new RawOrigin((socket, text) => {
    if (text.endsWith('ping')) socket.write('pong');
    if (!text.endsWith('\r\n\r\n')) return;
    http.push(text);
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const place = { port: 0 };
  const rig = await rigWith(lazily(place), options);
  parent.originPort = await rig.serve(origin.accept);
  place.port = await rig.adopt(parent.server);
  return { rig, parent, origin, http, place, port: await rig.proxyPort() };
}

function lazily(place: { port: number }): ParentProxies {
  return { parentOf: () => parentsAt(place.port).parentOf({} as never, 'tcp'), lookup: async () => OUTSIDE };
}

/** A rig behind a parent of raw bytes. */
async function withRawParent(onData: RawOrigin['onData'], options: RigOptions = {}) {
  const place = { port: 0 };
  const rig = await rigWith(lazily(place), options);
  const parent = new RawOrigin(onData);
  place.port = await rig.serve(parent.accept);
  return { rig, parent, place, port: await rig.proxyPort() };
}

function expectNoSecret(rig: Rig, ...told: readonly string[]): void {
  for (const text of [JSON.stringify(rig.events), ...told]) {
    expect(text).not.toContain(SECRET);
    expect(text).not.toContain('s3cret');
  }
}

const connectTo = (authority: string) => `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;

describe('a parent proxy', () => {
  it('is asked by CONNECT and name for a tunnel, and passes its bytes both ways', async () => {
    const { rig, parent, origin, port } = await withParent();
    await using _ = rig;
    const client = await rig.client(port);
    client.send(connectTo('ssh.example:22'));
    await client.until(/Established\r\n\r\n$/);
    client.send('ping');
    expect(await client.until(/pong$/)).not.toContain('Via');
    expect(parent.heads).toMatchObject([
      {
        line: 'CONNECT ssh.example:22',
        headers: { host: 'ssh.example:22', 'proxy-authorization': AUTHORIZATION },
      },
    ]);
    expect(origin.text).toBe('ping');
    client.socket.resetAndDestroy();
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.decisions).toMatchObject([
      {
        host: 'ssh.example',
        disposition: 'forwarded',
        detail: 'vetted, then handed to the parent proxy by name, which resolves it again',
      },
    ]);
    expect(rig.decisions[0]).not.toHaveProperty('address');
    expect(rig.closes[0]).not.toHaveProperty('address');
    expectNoSecret(rig, client.text);
  });

  it('gets a ClientHello only after it was read and its name found to be the judged one', async () => {
    const { rig, parent, origin, port } = await withParent();
    await using _ = rig;
    const good = await rig.client(port);
    good.send(connectTo('a.example:443'));
    await good.until(/Established/);
    const hello = helloBytes({ names: ['a.example'] });
    good.send(hello);
    await eventually(() => origin.text === hello.toString('latin1'), 'the hello');
    const bad = await rig.client(port);
    bad.send(connectTo('a.example:443'));
    await bad.until(/Established/);
    bad.send(helloBytes({ names: ['b.example'] }));
    await bad.all();
    expect(parent.heads.length).toBe(1);
    expect(rig.decisions).toMatchObject([{ disposition: 'forwarded' }, { reason: 'sni-mismatch' }]);
  });

  it('is asked with the whole URL for plain HTTP, on one connection for the same origin', async () => {
    const { rig, parent, http, port } = await withParent();
    await using _ = rig;
    const client = await rig.client(port);
    for (const path of ['/1?q=1', '/2']) {
      const asked = client.text.length;
      client.send(`GET http://a.example${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`);
      await eventually(() => client.text.length > asked && client.text.endsWith('ok'), 'the answer');
    }
    expect(parent.heads).toMatchObject([
      {
        line: 'GET http://a.example/1?q=1',
        headers: { host: 'a.example', 'proxy-authorization': AUTHORIZATION },
      },
      { line: 'GET http://a.example/2' },
    ]);
    expect(http.join()).toContain('GET /1?q=1 HTTP/1.1\r\n');
    expectNoSecret(rig, client.text);
  });

  it('never gets the credentials that a guest sends, in any spelling', async () => {
    const { rig, parent, http, port } = await withParent();
    await using _ = rig;
    parent.authorization = AUTHORIZATION;
    const client = await rig.client(port);
    client.send(
      'GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nProxy-Authorization: Basic Z3Vlc3Q=\r\n' +
        'PROXY-AUTHORIZATION: Basic Z3Vlc3Q=\r\nConnection: keep-alive, proxy-authorization\r\n\r\n',
    );
    await client.until(/ok$/);
    client.send(
      'GET http://b.example/ HTTP/1.1\r\nHost: b.example\r\nPROXY-authorization: Basic Z3Vlc3Q=\r\n\r\n',
    );
    await eventually(() => http.length === 2, 'both requests');
    const tunnel = await rig.client(port);
    tunnel.send(
      'CONNECT ssh.example:22 HTTP/1.1\r\nHost: ssh.example:22\r\nProxy-Authorization: Basic Z3Vlc3Q=\r\n\r\n',
    );
    await tunnel.until(/Established/);
    const sent = parent.heads.map(({ rawHeaders }) =>
      rawHeaders.filter((_, at) => rawHeaders[at - 1]?.toLowerCase() === 'proxy-authorization'),
    );
    expect(sent).toEqual([[AUTHORIZATION], [AUTHORIZATION], [AUTHORIZATION]]);
    expect(http.join()).not.toContain('Z3Vlc3Q=');
  });

  it('serves a WebSocket handshake by CONNECT', async () => {
    const { rig, parent, origin, port } = await withParent();
    await using _ = rig;
    const client = await rig.client(port);
    client.send(
      'GET http://a.example/ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    await client.until(/ok$/);
    expect(parent.heads).toMatchObject([{ line: 'CONNECT a.example:80' }]);
    expect(origin.text).toMatch(/^GET \/ws HTTP\/1\.1\r\n/);
    expect(origin.text.toLowerCase()).not.toContain('proxy-authorization');
  });
});

describe('a name that the host cannot resolve', () => {
  it('is handed to the parent proxy, and that is on record', async () => {
    const { rig, parent, port } = await withParent();
    await using _ = rig;
    const tunnel = await rig.client(port);
    tunnel.send(connectTo('ssh.missing.example:22'));
    await tunnel.until(/Established/);
    const plain = await rig.client(port);
    plain.send('GET http://missing.example/ HTTP/1.1\r\nHost: missing.example\r\n\r\n');
    await plain.until(/ok$/);
    expect(parent.heads.map(({ line }) => line)).toEqual([
      'CONNECT ssh.missing.example:22',
      'GET http://missing.example/',
    ]);
    expect(rig.decisions).toMatchObject([
      { disposition: 'forwarded', detail: 'the parent proxy resolves it' },
      { disposition: 'forwarded', detail: 'the parent proxy resolves it' },
    ]);
  });

  it('survives a reload that still allows it, and ends with one that does not', async () => {
    const { rig, port } = await withParent();
    await using _ = rig;
    const tunnel = await rig.client(port);
    tunnel.send(connectTo('ssh.missing.example:22'));
    await tunnel.until(/Established/);
    rig.proxy.policyChanged();
    tunnel.send('ping');
    await tunnel.until(/pong$/);
    rig.setPolicy(policyOf('  - allow: a.example\n'));
    rig.proxy.policyChanged();
    await tunnel.ending();
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.closes).toMatchObject([{ reason: 'policy-changed' }]);
  });

  it('stays here where a rule says which addresses it may have', async () => {
    const { rig, parent, port } = await withParent();
    await using _ = rig;
    const text = await (await rig.client(port)).send(connectTo('kept.missing.example:5432')).all();
    expect(text).toMatch(/^HTTP\/1\.1 502 [\s\S]*dns-not-found/);
    expect(parent.heads).toEqual([]);
    expect(rig.decisions).toMatchObject([{ disposition: 'refused', reason: 'dns-not-found' }]);
  });

  it('stays here where sand had a reason of its own not to ask', async () => {
    const failed: Lookup = { kind: 'failed', detail: 'too many distinct names', reason: 'limit-names' };
    const { rig, parent, port } = await withParent({ lookups: { 'ssh.example': failed } });
    await using _ = rig;
    expect(await (await rig.client(port)).send(connectTo('ssh.example:22')).all()).toMatch(
      /^HTTP\/1\.1 502 /,
    );
    expect(parent.heads).toEqual([]);
  });

  it('stays here where no rule allows it', async () => {
    const { rig, parent, port } = await withParent();
    await using _ = rig;
    expect(await (await rig.client(port)).send(connectTo('c.missing.example:443')).all()).toMatch(/no-rule/);
    expect(parent.heads).toEqual([]);
  });
});

describe('what the address guard sees', () => {
  it('is refused as without a parent proxy', async () => {
    const guarded: Lookup = { kind: 'addresses', addresses: [addressOf('10.0.0.1')] };
    const { rig, parent, port } = await withParent({ lookups: { 'ssh.example': guarded } });
    await using _ = rig;
    expect(await (await rig.client(port)).send(connectTo('ssh.example:22')).all()).toMatch(/address-guarded/);
    expect(parent.heads).toEqual([]);
  });

  it('goes to the parent as an address where a rule restricts the name to addresses', async () => {
    const { rig, parent, http, port } = await withParent();
    await using _ = rig;
    const tunnel = await rig.client(port);
    tunnel.send(connectTo('kept.example:5432'));
    await tunnel.until(/Established/);
    const plain = await rig.client(port);
    plain.send('GET http://kept.example/ HTTP/1.1\r\nHost: kept.example\r\n\r\n');
    await plain.until(/ok$/);
    expect(parent.heads.map(({ line }) => line)).toEqual([
      'CONNECT 203.0.113.7:5432',
      'CONNECT 203.0.113.7:80',
    ]);
    expect(http.join()).toMatch(/^GET \/ HTTP\/1\.1\r\nHost: kept\.example\r\n/);
    expect(rig.decisions).toMatchObject([{ address: '203.0.113.7' }, { address: '203.0.113.7' }]);
    expectNoSecret(rig, http.join());
  });

  it('is dialled directly where it is this host, or what only this host sees', async () => {
    const { rig, parent, port } = await withParent({ limits: { dialTimeoutMs: 200 } });
    await using _ = rig;
    // Nothing listens there; what counts is that nobody else is asked.
    await (await rig.client(port)).send(connectTo('here.example:22')).all();
    rig.setPolicy(policyOf('  - allow: 169.254.169.254/32\n    metadata: true\n    tcp: [81]\n'));
    const metadata = await rig.client(port);
    metadata.send(connectTo('169.254.169.254:81'));
    await eventually(() => rig.decisions.length === 2, 'both decisions');
    expect(rig.decisions).toMatchObject([{ address: '127.0.0.1' }, { address: '169.254.169.254' }]);
    expect(parent.heads).toEqual([]);
  });
});

describe('a parent proxy that refuses or misbehaves', () => {
  const answers: readonly (readonly [string, string, string, RegExp])[] = [
    [
      '407',
      'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="corp"\r\n\r\n',
      'upstream-refused',
      /credentials/,
    ],
    [
      '403',
      'HTTP/1.1 403 No\r\nX-Corp: secret page\r\n\r\n<html>',
      'upstream-refused',
      /does not allow it \(403\)/,
    ],
    ['502', 'HTTP/1.1 502 Bad\r\n\r\n', 'upstream-failed', /cannot reach it \(502\)/],
    ['504', 'HTTP/1.1 504 Late\r\n\r\n', 'upstream-timeout', /no answer from there/],
    ['301', 'HTTP/1.1 301 Go\r\nLocation: http://b.example/\r\n\r\n', 'upstream-refused', /answered 301/],
    ['garbage', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', 'upstream-failed', /no HTTP/],
    ['a status that is none', 'HTTP/1.1 099 OK\r\n\r\n', 'upstream-failed', /no HTTP/],
    [
      'an interim status',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
      'upstream-failed',
      /no HTTP/,
    ],
    ['NUL', 'HTTP/1.1 200 OK\r\nA: \0\r\n\r\n', 'upstream-failed', /no HTTP/],
    ['bare line ends', 'HTTP/1.1 200 OK\n\n', 'upstream-failed', /no HTTP/],
    [
      'a body by length',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
      'upstream-failed',
      /with a body/,
    ],
    [
      'a body by chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      'upstream-failed',
      /with a body/,
    ],
  ];

  it.each(answers)('with %s is told apart in words, and none of its own', async (_, answer, reason, told) => {
    const { rig, port } = await withRawParent((socket) => socket.write(answer));
    await using _rig = rig;
    const text = await (await rig.client(port)).send(connectTo('ssh.example:22')).all();
    expect(text).toMatch(/^HTTP\/1\.1 50[24] /);
    expect(text).toContain(`x-sand-reason: ${reason}\r\n`);
    expect(text).toMatch(told);
    expect(text).not.toMatch(/realm|corp|secret|hello|OpenSSH/);
    expect(rig.closes).toMatchObject([{ reason, detail: expect.stringMatching(told) }]);
    expectNoSecret(rig, text);
  });

  it('with a head without end is cut off', async () => {
    const { rig, parent, port } = await withRawParent((socket) => {
      if (socket.writableLength === 0) socket.write(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(8_000)}`);
    });
    await using _ = rig;
    const text = await (await rig.client(port)).send(connectTo('ssh.example:22')).all();
    expect(text).toMatch(/a head that is too long/);
    await eventually(
      () => parent.connections[0]?.hasEnded === true || parent.connections[0]?.isClosed === true,
      'the end',
    );
    expect(PROXY_BOUNDS.parentHeadBytes).toBeLessThan(8_000 * 6);
  });

  it('with silence is given up in time', async () => {
    const { rig, parent, port } = await withRawParent(() => {}, { limits: { dialTimeoutMs: 60 } });
    await using _ = rig;
    const text = await (await rig.client(port)).send(connectTo('ssh.example:22')).all();
    expect(text).toMatch(/^HTTP\/1\.1 504 [\s\S]*did not answer in time/);
    await eventually(
      () => parent.connections[0]?.hasEnded === true || parent.connections[0]?.isClosed === true,
      'the end',
    );
  });

  it('with an end is told apart', async () => {
    const { rig, port } = await withRawParent((socket) => socket.end());
    await using _ = rig;
    const text = await (await rig.client(port)).send(connectTo('ssh.example:22')).all();
    expect(text).toMatch(/ended the connection without an answer/);
  });

  it('with bytes before the client has spoken gets no TLS, and the guest none of them', async () => {
    const { rig, parent, port } = await withRawParent((socket, text) => {
      if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\n\r\ninjected');
    });
    await using _ = rig;
    const client = await rig.client(port);
    client.send(connectTo('a.example:443'));
    await client.until(/Established\r\n\r\n/);
    client.send(helloBytes({ names: ['a.example'] }));
    expect((await client.all()).endsWith(`\r\n\r\n${ALERT}`)).toBe(true);
    expect(parent.text).not.toContain('\x16');
    expect(rig.closes).toMatchObject([{ reason: 'upstream-failed', bytesOut: 0 }]);
  });

  it('with the first words of a server that speaks first passes them on', async () => {
    const { rig, port } = await withRawParent((socket) => socket.write('HTTP/1.0 200\r\n\r\nSSH-2.0-x\r\n'));
    await using _ = rig;
    const client = await rig.client(port);
    client.send(connectTo('ssh.example:22'));
    await client.until(/Established\r\n\r\nSSH-2\.0-x\r\n$/);
    client.socket.end();
    await eventually(() => rig.decisions.length === 1, 'the record');
  });

  it('with 407 to plain HTTP asks the guest for nothing', async () => {
    const { rig, parent, port } = await withParent();
    await using _ = rig;
    parent.authorization = 'Basic b3RoZXI=';
    const client = await rig.client(port);
    client.send('GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n');
    const text = await client.until(/sand why/);
    expect(text).toMatch(/^HTTP\/1\.1 502 /);
    expect(text).toMatch(/asks for credentials/);
    expect(text.toLowerCase()).not.toMatch(/proxy-authenticate|realm|who are you/);
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.closes).toMatchObject([
      { reason: 'upstream-refused', detail: expect.stringMatching(/\(407\)/) },
    ]);
    expectNoSecret(rig, text);
  });

  it('that cannot be reached is told without its place', async () => {
    const { rig, place, port } = await withRawParent(() => {});
    await using _ = rig;
    place.port = 1;
    const text = await (await rig.client(port)).send(connectTo('ssh.example:22')).all();
    expect(text).toMatch(/the parent proxy of the host cannot be reached/);
    expect(text).not.toContain('127.0.0.1');
  });

  it('that speaks no TLS where it should never sees the credentials', async () => {
    const place = { port: 0 };
    const parents = parentsAt(0, { secure: true });
    const rig = await rigWith({
      ...parents,
      parentOf: () => parentsAt(place.port, { secure: true }).parentOf({} as never, 'tcp'),
    });
    await using _ = rig;
    const parent = new RawOrigin((socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    place.port = await rig.serve(parent.accept);
    const text = await (await rig.client(await rig.proxyPort())).send(connectTo('ssh.example:22')).all();
    expect(text).toMatch(/ended the TLS handshake/);
    expect(parent.text).not.toContain(SECRET);
  });
});

describe('a parent proxy that is sand itself', () => {
  it('is refused by its address, before anything is dialled', async () => {
    const rig = await rigWith(parentsAt(3128), { own: [3128] });
    await using _ = rig;
    const text = await (await rig.client(await rig.proxyPort())).send(connectTo('ssh.example:22')).all();
    expect(text).toMatch(/x-sand-reason: loop/);
    expect(rig.decisions).toMatchObject([{ reason: 'loop', disposition: 'refused' }]);
  });

  it('is refused by its name, once that is looked up', async () => {
    const host = { kind: 'name', name: 'proxy.corp.example' as never } as const;
    const found: Lookup = { kind: 'addresses', addresses: [addressOf('127.0.0.1')] };
    const rig = await rigWith(parentsAt(3128, { host }, found), { own: [3128] });
    await using _ = rig;
    const text = await (await rig.client(await rig.proxyPort())).send(connectTo('ssh.example:22')).all();
    expect(text).toMatch(/x-sand-reason: loop/);
    expect(rig.closes).toMatchObject([{ reason: 'loop' }]);
  });
});

it('the close of a direct connection says which address answered', async () => {
  await using rig = new Rig({
    lookups: {
      'a.example': { kind: 'addresses', addresses: [addressOf('127.0.0.9'), addressOf('127.0.0.1')] },
    },
  });
  const origin = new RawOrigin();
  const originPort = await rig.serve(origin.accept);
  rig.setPolicy(policyOf(`  - allow: a.example\n    tcp: [${originPort}]\n    addresses: [127.0.0.0/8]\n`));
  const client = await rig.client(await rig.proxyPort());
  client.send(connectTo(`a.example:${originPort}`));
  await client.until(/Established/);
  client.socket.resetAndDestroy();
  await eventually(() => rig.closes.length === 1, 'the close');
  expect(rig.decisions).toMatchObject([{ address: '127.0.0.9' }]);
  expect(rig.closes).toMatchObject([{ address: '127.0.0.1' }]);
});

describe('an answer to CONNECT', () => {
  it('is read the same in whatever pieces it comes', () => {
    const answer = Buffer.from('HTTP/1.1 200 OK\r\nVia: 1.1 corp\r\n\r\nSSH', 'latin1');
    const head = answer.length - 3;
    for (let length = 0; length < head; length += 1) {
      expect(readConnectAnswer(answer.subarray(0, length))).toEqual({ kind: 'more' });
    }
    expect(readConnectAnswer(answer)).toEqual({ kind: 'accepted', end: head });
  });

  it('that cannot become one is refused at its first bytes', () => {
    for (const text of ['S', 'HTTX', 'HTTP/2', '\n', 'HTTP/1.1 200 OK\n']) {
      expect(readConnectAnswer(Buffer.from(text, 'latin1'))).toMatchObject({ kind: 'refused' });
    }
  });

  it('may be any bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.string().map((text) => Buffer.from(`HTTP/1.1 200 ${text}\r\n\r\n`)),
    );
    fc.assert(
      fc.property(bytes, (some) => {
        const read = readConnectAnswer(Buffer.from(some));
        expect(['more', 'accepted', 'refused']).toContain(read.kind);
      }),
    );
  });
});
