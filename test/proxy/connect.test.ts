import { execFile } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { helloBytes, recordOf } from './hello-bytes.ts';
import { allow, eventually, policyOf, RawOrigin, Rig, type RigOptions } from './rig.ts';

const ALERT = Buffer.from([21, 3, 3, 0, 2, 2, 49]).toString('latin1');
const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n';

/** A raw origin that a.example is allowed to reach, for the protocols named. */
async function withOrigin(protocols: readonly ('http' | 'https' | 'tcp')[], options: RigOptions = {}) {
  const rig = new Rig(options);
  const origin = new RawOrigin((socket, text) => {
    if (text.endsWith('ping')) socket.write('pong');
  });
  const originPort = await rig.serve(origin.accept);
  const ports = protocols.map((protocol) => `${protocol}: [${originPort}]`).join('\n    ');
  rig.setPolicy(policyOf(allow('a.example', ports)));
  const port = await rig.proxyPort();
  const tunnel = async (host = 'a.example') => {
    const client = await rig.client(port);
    client.send(`CONNECT ${host}:${originPort} HTTP/1.1\r\nHost: ${host}:${originPort}\r\n\r\n`);
    return client;
  };
  return { rig, origin, originPort, port, tunnel };
}

describe('CONNECT', () => {
  it('to a host that no rule allows is refused at once, and nothing is looked up', async () => {
    const { rig, originPort, tunnel } = await withOrigin(['https']);
    await using _ = rig;
    const text = await (await tunnel('c.example')).all();
    expect(text).toMatch(/^HTTP\/1\.1 403 Forbidden \(sand: no-rule\)\r\nx-sand-reason: no-rule\r\n/);
    expect(text).toContain(`explain: sand why c.example:${originPort}\n`);
    expect(rig.lookedUp).toEqual([]);
    expect(rig.decisions).toMatchObject([
      { via: 'connect', host: 'c.example', port: originPort, disposition: 'refused' },
    ]);
  });

  it('to a name that resolves to a guarded address is refused before its 200', async () => {
    const rig = new Rig({
      policy: policyOf('  - allow: a.example\n'),
      lookups: { 'a.example': { kind: 'addresses', addresses: ['127.0.0.1' as never, '10.0.0.1' as never] } },
    });
    await using _ = rig;
    const client = await rig.client(await rig.proxyPort());
    client.send('CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n');
    const text = await client.all();
    expect(text).toMatch(/403 [\s\S]*x-sand-reason: address-guarded/);
    expect(text).not.toMatch(/127\.0\.0\.1|10\.0\.0\.1/);
    expect(rig.decisions).toMatchObject([{ reason: 'address-guarded', detail: 'a.example is at 127.0.0.1' }]);
  });

  it('to a name that does not exist, or cannot be looked up, is a 502 that says so', async () => {
    const rig = new Rig({
      policy: policyOf('  - allow: [x.missing.example, broken.example]\n'),
      lookups: { 'broken.example': { kind: 'failed', detail: 'SERVFAIL from 192.0.2.53' } },
    });
    await using _ = rig;
    const port = await rig.proxyPort();
    for (const [host, reason] of [
      ['x.missing.example', 'dns-not-found'],
      ['broken.example', 'dns-failed'],
    ]) {
      const client = await rig.client(port);
      client.send(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`);
      const text = await client.all();
      expect(text).toMatch(new RegExp(`^HTTP/1\\.1 502 [\\s\\S]*x-sand-reason: ${reason}`));
      expect(text).not.toContain('192.0.2.53');
    }
    expect(rig.decisions).toMatchObject([
      { verdict: 'allow', disposition: 'refused', reason: 'dns-not-found' },
      { verdict: 'allow', disposition: 'refused', reason: 'dns-failed' },
    ]);
  });

  it('that is malformed is refused, and recorded without its secrets', async () => {
    const { rig, port } = await withOrigin(['https']);
    await using _ = rig;
    const client = await rig.client(port);
    client.send('CONNECT user:secret@a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n');
    expect(await client.all()).toMatch(/^HTTP\/1\.1 400 [\s\S]*request-malformed/);
    expect(rig.decisions).toMatchObject([{ reason: 'request-malformed', host: 'a.example:443' }]);
    expect(JSON.stringify(rig.events)).not.toContain('secret');
  });

  it('may come behind other requests on its connection', async () => {
    const { rig, originPort, port } = await withOrigin(['tcp']);
    await using _ = rig;
    const client = await rig.client(port);
    client.send('GET http://c.example/ HTTP/1.1\r\nHost: c.example\r\n\r\n');
    await client.until(/sand why c\.example:80\n/);
    client.send(`CONNECT a.example:${originPort} HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\nping`);
    await client.until(/200 Connection Established\r\n\r\npong$/);
  });
});

describe('a tunnel for tcp', () => {
  it('passes any bytes both ways, with half-close, and its close is recorded', async () => {
    const { rig, origin, tunnel } = await withOrigin(['tcp']);
    await using _ = rig;
    const client = await tunnel();
    await client.until(/Established\r\n\r\n$/);
    client.send('ping');
    await client.until(/pong$/);
    client.socket.end();
    await eventually(() => origin.connections[0]?.hasEnded === true, 'the half-close');
    origin.connections[0]?.socket.end('bye');
    expect(await client.all()).toMatch(/pongbye$/);
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.decisions).toMatchObject([
      { protocol: 'tcp', disposition: 'forwarded', address: '127.0.0.1' },
    ]);
    expect(rig.closes).toMatchObject([{ connection: rig.decisions[0]?.connection, bytesOut: 4, bytesIn: 7 }]);
    expect(rig.closes[0]?.reason).toBeUndefined();
  });

  it('whose origin refuses is a 502 before any 200', async () => {
    const rig = new Rig();
    await using _ = rig;
    const gone = await rig.serve(() => {});
    const other = new Rig({ policy: policyOf(allow('a.example', `tcp: [${gone}]`)) });
    await rig[Symbol.asyncDispose]();
    await using __ = other;
    const client = await other.client(await other.proxyPort());
    client.send(`CONNECT a.example:${gone} HTTP/1.1\r\nHost: a.example:${gone}\r\n\r\n`);
    expect(await client.all()).toMatch(/^HTTP\/1\.1 502 [\s\S]*upstream-refused/);
    expect(other.decisions).toMatchObject([{ disposition: 'forwarded' }]);
    expect(other.closes).toMatchObject([{ reason: 'upstream-refused', bytesOut: 0 }]);
  });

  it('that the origin resets is reset for the guest', async () => {
    const { rig, origin, tunnel } = await withOrigin(['tcp']);
    await using _ = rig;
    const client = await tunnel();
    await client.until(/Established/);
    await eventually(() => origin.connections.length === 1, 'the connection');
    origin.connections[0]?.socket.resetAndDestroy();
    expect(await client.ending()).toBe('reset');
  });
});

describe('a tunnel for https', () => {
  it('carries a real TLS session to the name that was judged', async () => {
    const psk = { key: Buffer.alloc(32, 1), hint: 'x' };
    const rig = new Rig();
    await using _ = rig;
    const server = createTlsServer(
      { ciphers: 'PSK', pskCallback: () => psk.key, ALPNProtocols: ['h2'] },
      (socket) => {
        socket.end(`hello ${socket.servername}`);
      },
    );
    const originPort = await rig.adopt(server);
    rig.setPolicy(policyOf(allow('a.example', `https: [${originPort}]`)));
    const client = await rig.client(await rig.proxyPort());
    client.send(`CONNECT a.example:${originPort} HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    await client.until(/Established\r\n\r\n$/);
    client.socket.removeAllListeners('data');
    const tls = connectTls({
      socket: client.socket,
      servername: 'a.example',
      ALPNProtocols: ['h2'],
      ciphers: 'PSK',
      pskCallback: () => ({ psk: psk.key, identity: 'x' }),
      checkServerIdentity: () => undefined,
    });
    let text = '';
    for await (const chunk of tls) text += chunk;
    expect(text).toBe('hello a.example');
    expect(rig.decisions).toMatchObject([
      { protocol: 'https', sni: 'a.example', alpn: ['h2'], host: 'a.example' },
    ]);
  });

  it('sends nothing upstream before the ClientHello is judged, then sends it byte for byte', async () => {
    const { rig, origin, tunnel } = await withOrigin(['https']);
    await using _ = rig;
    const client = await tunnel();
    await client.until(/Established\r\n\r\n$/);
    // Two records, in three segments.
    const hello = helloBytes({ names: ['a.example'] }, 60);
    client.send(hello.subarray(0, 20));
    await client.send(hello.subarray(20, 70)).until(/Established/);
    expect(origin.connections.length).toBe(0);
    expect(rig.decisions.length).toBe(0);
    client.send(hello.subarray(70)).send('later');
    await eventually(() => origin.text.endsWith('later'), 'the bytes');
    expect(origin.text).toBe(`${hello.toString('latin1')}later`);
  });

  it.each([
    ['another server name', helloBytes({ names: ['evil.example'] }), 'sni-mismatch'],
    ['another server name in its second record', helloBytes({ names: ['evil.example'] }, 60), 'sni-mismatch'],
    ['no server name', helloBytes({}), 'sni-missing'],
    ['two server names', helloBytes({ names: ['a.example', 'evil.example'] }), 'tls-malformed'],
    ['a subdomain', helloBytes({ names: ['x.a.example'] }), 'sni-mismatch'],
    ['bytes behind the hello', recordOf(Buffer.from([1, 0, 0, 1, 0, 9])), 'tls-malformed'],
  ])('is refused with an alert for %s', async (_, hello, reason) => {
    const { rig, origin, tunnel } = await withOrigin(['https']);
    await using __ = rig;
    const client = await tunnel();
    await client.until(/Established\r\n\r\n$/);
    client.send(hello);
    expect(await client.all()).toBe(`${ESTABLISHED}${ALERT}`);
    expect(rig.decisions).toMatchObject([
      { reason, verdict: 'deny', disposition: 'refused', via: 'connect' },
    ]);
    expect(origin.connections.length).toBe(0);
  });

  it('records the name that was tried', async () => {
    const { rig, tunnel } = await withOrigin(['https']);
    await using _ = rig;
    const client = await tunnel();
    client.send(helloBytes({ names: ['evil.example'], alpn: ['h2'] }));
    await client.all();
    expect(rig.decisions).toMatchObject([{ host: 'a.example', sni: 'evil.example', alpn: ['h2'] }]);
  });

  it('lets no SSH through: bytes that are not TLS end it', async () => {
    const { rig, origin, tunnel } = await withOrigin(['https']);
    await using _ = rig;
    const client = await tunnel();
    await client.until(/Established\r\n\r\n$/);
    client.send('SSH-2.0-OpenSSH_9.2\r\n');
    expect(await client.ending()).toBe('reset');
    expect(rig.decisions).toMatchObject([{ reason: 'tls-expected', disposition: 'refused' }]);
    expect(origin.connections.length).toBe(0);
  });

  it('tells a client of plain HTTP what is wrong', async () => {
    const { rig, origin, tunnel } = await withOrigin(['https']);
    await using _ = rig;
    const client = await tunnel();
    client.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    expect(await client.all()).toMatch(/Established\r\n\r\nHTTP\/1\.1 403 [\s\S]*tls-expected/);
    expect(origin.connections.length).toBe(0);
  });

  it.each([
    ['nothing', ''],
    [
      'half a ClientHello',
      helloBytes({ names: ['a.example'] })
        .toString('latin1')
        .slice(0, 50),
    ],
  ])('ends in time for a client that sends %s', async (_, bytes) => {
    const { rig, tunnel } = await withOrigin(['https'], { limits: { clientHelloTimeoutMs: 50 } });
    await using __ = rig;
    const client = await tunnel();
    if (bytes !== '') client.send(bytes);
    await client.ending();
    expect(rig.decisions).toMatchObject([{ reason: 'limit-time', disposition: 'refused' }]);
  });
});

describe('a tunnel for http', () => {
  it('judges each request inside, whose Host is the tunnel\u2019s authority', async () => {
    const rig = new Rig();
    await using _ = rig;
    const originPort = await rig.adopt(
      createHttpServer((request, response) => response.end(`<${request.url}>`)),
    );
    rig.setPolicy(
      policyOf(allow('a.example', `http: [${originPort}]`) + allow('b.example', `http: [${originPort}]`)),
    );
    const client = await rig.client(await rig.proxyPort());
    client.send(`CONNECT a.example:${originPort} HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    await client.until(/Established/);
    client.send(`GET /1 HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    await client.until(/<\/1>/);
    client.send(`GET /2 HTTP/1.1\r\nHost: b.example:${originPort}\r\n\r\n`);
    await client.until(/x-sand-reason: host-mismatch[\s\S]*sand why/);
    client.send(`CONNECT a.example:${originPort} HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    expect(await client.all()).toMatch(/405 Method Not Allowed[\s\S]*method-refused/);
    expect(rig.decisions).toMatchObject([
      { via: 'connect', path: '/1', disposition: 'forwarded' },
      { via: 'connect', reason: 'host-mismatch', disposition: 'refused' },
      { reason: 'method-refused' },
    ]);
  });

  it('is refused with an alert when TLS comes', async () => {
    const { rig, tunnel } = await withOrigin(['http']);
    await using _ = rig;
    const client = await tunnel();
    client.send(helloBytes({ names: ['a.example'] }));
    expect(await client.all()).toBe(`${ESTABLISHED}${ALERT}`);
    expect(rig.decisions).toMatchObject([{ reason: 'protocol-not-allowed' }]);
  });

  it('and https: the first bytes tell which it is', async () => {
    const { rig, origin, originPort, tunnel } = await withOrigin(['http', 'https']);
    await using _ = rig;
    (await tunnel()).send(helloBytes({ names: ['a.example'] }));
    (await tunnel()).send(`GET /x HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    await eventually(() => rig.decisions.length === 2, 'both');
    expect(rig.decisions.map(({ protocol }) => protocol).sort()).toEqual(['http', 'https']);
    expect(rig.decisions.every(({ disposition }) => disposition === 'forwarded')).toBe(true);
    await eventually(() => origin.text.includes('GET /x'), 'the request');
  });
});

describe('a tunnel to a literal', () => {
  it('is denied without an address rule, and with one carries TLS without server name only', async () => {
    const rig = new Rig();
    await using _ = rig;
    const origin = new RawOrigin();
    const originPort = await rig.serve(origin.accept);
    const port = await rig.proxyPort();
    const connectTo = async (host: string) => {
      const client = await rig.client(port);
      return client.send(`CONNECT ${host}:${originPort} HTTP/1.1\r\nHost: ${host}:${originPort}\r\n\r\n`);
    };
    expect(await (await connectTo('127.0.0.1')).all()).toMatch(/403 [\s\S]*raw-address/);
    rig.setPolicy(policyOf(`  - allow: 127.0.0.1\n    https: [${originPort}]\n`));
    const named = await connectTo('127.0.0.1');
    named.send(helloBytes({ names: ['evil.example'] }));
    expect(await named.all()).toBe(`${ESTABLISHED}${ALERT}`);
    const hello = helloBytes({});
    (await connectTo('127.0.0.1')).send(hello);
    await eventually(() => origin.text.length === hello.length, 'the hello');
    expect(rig.decisions.map(({ reason }) => reason)).toEqual([
      'raw-address',
      'sni-mismatch',
      'allowed-by-rule',
    ]);
  });

  it.each(['0.0.0.0', '[::1]', '[::ffff:127.0.0.1]', '[::]', '169.254.169.254', '[64:ff9b::7f00:1]'])(
    '%s is not dialled by a rule for names',
    async (host) => {
      const rig = new Rig({ policy: policyOf(allow('a.example', 'tcp: [443]')) });
      await using _ = rig;
      const client = await rig.client(await rig.proxyPort());
      client.send(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`);
      expect(await client.all()).toMatch(/^HTTP\/1\.1 403 [\s\S]*(raw-address|metadata-address)/);
    },
  );

  it('that is synthetic means the name that it was given for, and otherwise nothing', async () => {
    const rig = new Rig({ meanings: { '198.18.0.5': { kind: 'name', name: 'a.example' as never } } });
    await using _ = rig;
    const origin = new RawOrigin();
    const originPort = await rig.serve(origin.accept);
    rig.setPolicy(
      policyOf(`${allow('a.example', `https: [${originPort}]`)}  - allow: 198.0.0.0/8\n    tcp: [1]\n`),
    );
    const port = await rig.proxyPort();
    const known = await rig.client(port);
    known.send(`CONNECT 198.18.0.5:${originPort} HTTP/1.1\r\nHost: 198.18.0.5:${originPort}\r\n\r\n`);
    known.send(helloBytes({ names: ['a.example'] }));
    await eventually(() => origin.connections.length === 1, 'the connection');
    const unknown = await rig.client(port);
    unknown.send('CONNECT 198.18.0.6:1 HTTP/1.1\r\nHost: 198.18.0.6:1\r\n\r\n');
    expect(await unknown.all()).toMatch(/403 [\s\S]*address-unknown/);
    expect(rig.decisions).toMatchObject([
      { host: 'a.example', disposition: 'forwarded' },
      { host: '198.18.0.6', reason: 'address-unknown' },
    ]);
  });
});

describe('host.sand', () => {
  it('is the host\u2019s own loopback, by its own rule and port, and never sand itself', async () => {
    const rig = new Rig();
    await using _ = rig;
    const origin = new RawOrigin((socket) => socket.end('service'));
    const originPort = await rig.serve(origin.accept);
    const own = await rig.serve(origin.accept);
    const guarded = new Rig({
      own: [own],
      policy: policyOf(`  - allow: host.sand\n    tcp: [${originPort}, ${own}]\n`),
    });
    await using __ = guarded;
    const port = await guarded.proxyPort();
    const ask = async (to: number) => {
      const client = await guarded.client(port);
      client.send(`CONNECT host.sand:${to} HTTP/1.1\r\nHost: host.sand:${to}\r\n\r\n`);
      return client;
    };
    await (await ask(originPort)).send('x').until(/service$/);
    expect(await (await ask(own)).all()).toMatch(/403 [\s\S]*x-sand-reason: loop/);
    expect(await (await ask(port)).all()).toMatch(/403 [\s\S]*port-not-allowed/);
    expect(guarded.lookedUp).toEqual([]);
    expect(guarded.decisions).toMatchObject([{ address: '127.0.0.1' }, { reason: 'loop' }, {}]);
  });

  it('is not opened by report mode', async () => {
    const rig = new Rig({ policy: policyOf('', 'mode: report\n') });
    await using _ = rig;
    const client = await rig.client(await rig.proxyPort());
    client.send('CONNECT host.sand:5432 HTTP/1.1\r\nHost: host.sand:5432\r\n\r\n');
    expect(await client.all()).toMatch(/^HTTP\/1\.1 403 /);
  });
});

describe('a real client', () => {
  it('curl, goes through as a proxy user and reads why it is refused', async () => {
    const rig = new Rig();
    await using _ = rig;
    const originPort = await rig.adopt(
      createHttpServer((request, response) => response.end(`hi ${request.headers.host}`)),
    );
    rig.setPolicy(policyOf(allow('a.example', `http: [${originPort}]`)));
    const proxy = `http://127.0.0.1:${await rig.proxyPort()}`;
    const curl = async (...args: string[]) =>
      (await promisify(execFile)('curl', ['-sS', '--noproxy', '', '-x', proxy, '-m', '10', ...args])).stdout;
    expect(await curl(`http://a.example:${originPort}/`)).toBe(`hi a.example:${originPort}`);
    expect(await curl('-p', `http://a.example:${originPort}/`)).toBe(`hi a.example:${originPort}`);
    expect(await curl('http://c.example/')).toMatch(/reason: no-rule/);
    expect(await curl('-0', `http://a.example:${originPort}/`)).toBe(`hi a.example:${originPort}`);
    const socks = await promisify(execFile)('curl', [
      '-sS',
      '--noproxy',
      '',
      '-m',
      '10',
      '-x',
      proxy.replace('http:', 'socks5h:'),
      `http://a.example:${originPort}/`,
    ]);
    expect(socks.stdout).toBe(`hi a.example:${originPort}`);
  });
});
