import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Hostname } from '../../policies/model.ts';
import { helloBytes } from './hello-bytes.ts';
import { addressOf, allow, eventually, policyOf, RawOrigin, Rig } from './rig.ts';

const ALERT = Buffer.from([21, 3, 3, 0, 2, 2, 49]).toString('latin1');
const SYNTHETIC = '198.18.0.5';
const MEANINGS = { [SYNTHETIC]: { kind: 'name', name: 'a.example' as Hostname } } as const;

async function withOrigin(ports: (port: number) => string) {
  const rig = new Rig({ meanings: MEANINGS });
  const origin = new RawOrigin((socket, text) => {
    if (text.endsWith('ping')) socket.write('pong');
  });
  const originPort = await rig.serve(origin.accept);
  rig.setPolicy(policyOf(ports(originPort)));
  const stream = async (address: string, port = originPort) =>
    rig.client(await rig.streamPort(address, port));
  return { rig, origin, originPort, stream };
}

describe('a transparent TLS stream', () => {
  it('goes to the name that its destination means, once its server name is that name', async () => {
    const { rig, origin, originPort, stream } = await withOrigin((port) =>
      allow('a.example', `https: [${port}]`),
    );
    await using _ = rig;
    const hello = helloBytes({ names: ['a.example'], alpn: ['h2'] }, 50);
    (await stream(SYNTHETIC)).send(hello);
    await eventually(() => origin.text.length === hello.length, 'the hello');
    expect(rig.decisions).toMatchObject([
      {
        via: 'transparent',
        host: 'a.example',
        port: originPort,
        protocol: 'https',
        sni: 'a.example',
        alpn: ['h2'],
        destination: `${SYNTHETIC}:${originPort}`,
        address: '127.0.0.1',
      },
    ]);
  });

  it('with another server name gets a fatal alert', async () => {
    const { rig, origin, stream } = await withOrigin((port) => allow('a.example', `https: [${port}]`));
    await using _ = rig;
    const client = await stream(SYNTHETIC);
    client.send(helloBytes({ names: ['evil.example'] }));
    expect(await client.all()).toBe(ALERT);
    expect(origin.connections.length).toBe(0);
    expect(rig.decisions).toMatchObject([{ reason: 'sni-mismatch', host: 'a.example', sni: 'evil.example' }]);
    expect(rig.lookedUp).toEqual([]);
  });

  it('to an address that no answer gave gets an alert, and the name that it asked for is on record', async () => {
    const { rig, stream } = await withOrigin((port) => allow('a.example', `https: [${port}]`));
    await using _ = rig;
    const client = await stream('198.18.9.9');
    client.send(helloBytes({ names: ['a.example'] }));
    expect(await client.all()).toBe(ALERT);
    expect(rig.decisions).toMatchObject([
      { reason: 'address-unknown', host: '198.18.9.9', sni: 'a.example' },
    ]);
  });

  it('to a raw address is refused without an address rule, whatever its server name', async () => {
    const { rig, stream } = await withOrigin((port) => allow('a.example', `https: [${port}]`));
    await using _ = rig;
    const client = await stream('127.0.0.1');
    client.send(helloBytes({ names: ['a.example'] }));
    expect(await client.all()).toBe(ALERT);
    expect(rig.decisions).toMatchObject([{ reason: 'raw-address', sni: 'a.example' }]);
  });
});

describe('a transparent HTTP stream', () => {
  it('is served request by request, for the name that its destination means', async () => {
    const rig = new Rig({ meanings: MEANINGS });
    await using _ = rig;
    const originPort = await rig.adopt(
      createHttpServer((request, response) => response.end(`<${request.headers.host}${request.url}>`)),
    );
    rig.setPolicy(policyOf(allow('a.example', `http: [${originPort}]`)));
    const client = await rig.client(await rig.streamPort(SYNTHETIC, originPort));
    const get = (path: string, host: string) => client.send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    get('/1', `a.example:${originPort}`);
    await client.until(new RegExp(`<a.example:${originPort}/1>`));
    // The synthetic address itself, as a client writes it that was given an address only.
    get('/2', `${SYNTHETIC}:${originPort}`);
    await client.until(new RegExp(`<a.example:${originPort}/2>`));
    get('/3', `evil.example:${originPort}`);
    await client.until(/x-sand-reason: host-mismatch[\s\S]*sand why/);
    expect(rig.decisions.map(({ host, disposition }) => `${host} ${disposition}`)).toEqual([
      'a.example forwarded',
      'a.example forwarded',
      'evil.example refused',
    ]);
  });

  it('to a literal carries that literal as Host and no name', async () => {
    const { rig, origin, originPort, stream } = await withOrigin(
      (port) => `  - allow: 127.0.0.1\n    http: [${port}]\n`,
    );
    await using _ = rig;
    const named = await stream('127.0.0.1');
    named.send(`GET / HTTP/1.1\r\nHost: evil.example:${originPort}\r\nConnection: close\r\n\r\n`);
    expect(await named.all()).toMatch(/403 [\s\S]*host-mismatch/);
    const literal = await stream('127.0.0.1');
    literal.send(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${originPort}\r\n\r\n`);
    await eventually(() => origin.text.includes(`Host: 127.0.0.1:${originPort}`), 'the request');
  });

  it('to what is not allowed gets a 403 that names the reason of its destination', async () => {
    const { rig, stream } = await withOrigin((port) => allow('a.example', `https: [${port}]`));
    await using _ = rig;
    for (const [address, reason] of [
      ['198.18.9.9', 'address-unknown'],
      ['203.0.113.9', 'raw-address'],
    ] as const) {
      const client = await stream(address, 80);
      client.send('GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n');
      expect(await client.all()).toMatch(new RegExp(`^HTTP/1\\.1 403 [\\s\\S]*x-sand-reason: ${reason}`));
    }
    expect(rig.decisions).toMatchObject([
      { reason: 'address-unknown', method: 'GET', path: '/x', destination: '198.18.9.9:80' },
      { reason: 'raw-address', host: '203.0.113.9' },
    ]);
  });
});

describe('a transparent TCP stream', () => {
  it('is spliced where a tcp rule allows it', async () => {
    const { rig, stream } = await withOrigin((port) => allow('a.example', `tcp: [${port}]`));
    await using _ = rig;
    await (await stream(SYNTHETIC)).send('ping').until(/^pong$/);
    expect(rig.decisions).toMatchObject([{ protocol: 'tcp', host: 'a.example' }]);
  });

  it('that no rule allows is reset, also when it speaks no protocol that sand knows', async () => {
    const { rig, stream } = await withOrigin((port) => allow('a.example', `https: [${port}]`));
    await using _ = rig;
    const client = await stream('203.0.113.9', 22);
    client.send('SSH-2.0-OpenSSH_9.2\r\n');
    expect(await client.ending()).toBe('reset');
    expect(rig.decisions).toMatchObject([
      { reason: 'raw-address', host: '203.0.113.9', port: 22, protocol: null },
    ]);
  });

  it('whose client waits to be greeted is reset too', async () => {
    const { rig, stream } = await withOrigin(() => '');
    await using _ = rig;
    const client = await stream('203.0.113.9', 22);
    expect(await client.ending()).toBe('reset');
    expect(rig.decisions).toMatchObject([{ reason: 'raw-address' }]);
  });

  it('that comes over a Unix socket, which knows no reset, is closed', async () => {
    const { rig } = await withOrigin(() => '');
    await using _ = rig;
    const directory = await mkdtemp(join(tmpdir(), 'sand-stream-'));
    const path = join(directory, 'stream');
    const server = createServer((socket) => {
      rig.proxy.acceptStream(socket, { address: addressOf('203.0.113.9'), port: 22 });
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const socket = connect(path);
    socket.on('error', () => {});
    socket.write('SSH-2.0-OpenSSH_9.2\r\n');
    await new Promise((resolve) => socket.on('close', resolve));
    expect(rig.decisions).toMatchObject([{ reason: 'raw-address' }]);
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  });
});
