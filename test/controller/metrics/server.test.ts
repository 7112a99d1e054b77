import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseMetricsPlace } from '../../../controller/metrics/place.ts';
import { type MetricsServer, serveMetrics } from '../../../controller/metrics/server.ts';

let folder: string;
const open: MetricsServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sand-metrics-'));
});
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
  rmSync(folder, { recursive: true });
});

async function serve(place: string): Promise<MetricsServer> {
  const server = await serveMetrics(parseMetricsPlace(place, folder), () => 'sand_up 1\n');
  open.push(server);
  return server;
}

async function ask(server: MetricsServer, head: string): Promise<string> {
  const { place } = server;
  const socket =
    place.kind === 'unix'
      ? connect({ path: place.path })
      : connect({ port: place.port, host: place.address });
  socket.end(`${head}\r\n\r\n`);
  return readText(socket);
}

const portOf = ({ place }: MetricsServer) => (place.kind === 'port' ? place.port : 0);

describe('the metrics server', () => {
  test('answers on a loopback port, to who asks for that host', async () => {
    const server = await serve('127.0.0.1:0');
    const port = portOf(server);
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`]) {
      const answer = await ask(server, `GET /metrics HTTP/1.1\r\nHost: ${host}`);
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      expect(answer).toContain('text/plain; version=0.0.4');
      expect(answer).toContain('sand_up 1\n');
    }
  });

  test('tells a page of the web nothing, whose name was made to lead here', async () => {
    const server = await serve('127.0.0.1:0');
    for (const host of ['evil.example', `evil.example:${portOf(server)}`, '127.0.0.1', '127.0.0.1:1', '']) {
      const answer = await ask(server, `GET /metrics HTTP/1.1\r\nHost: ${host}`);
      expect(answer).toMatch(/^HTTP\/1\.1 403 /);
      expect(answer).not.toContain('sand_up');
    }
  });

  test('has one page, and is only read', async () => {
    const server = await serve('127.0.0.1:0');
    const host = `Host: 127.0.0.1:${portOf(server)}`;
    expect(await ask(server, `GET / HTTP/1.1\r\n${host}`)).toMatch(/^HTTP\/1\.1 404 /);
    expect(await ask(server, `POST /metrics HTTP/1.1\r\n${host}`)).toMatch(/^HTTP\/1\.1 405 /);
    expect(await ask(server, `GET http://evil.example/metrics HTTP/1.1\r\n${host}`)).toMatch(
      /^HTTP\/1\.1 404 /,
    );
    expect(await ask(server, 'nonsense')).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('has a Unix socket for its own user alone, and removes it', async () => {
    const path = join(folder, 'm.sock');
    const server = await serve(`unix:${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await ask(server, 'GET /metrics HTTP/1.1\r\nHost: sand')).toContain('sand_up 1\n');
    await server.close();
    expect(existsSync(path)).toBe(false);
  });

  test('takes the place of a socket that nobody listens on, and of nothing else', async () => {
    const path = join(folder, 'm.sock');
    const listening = createServer().listen({ path });
    await once(listening, 'listening');
    await expect(serve(`unix:${path}`)).rejects.toMatchObject({ code: 'usage' });
    listening.close();
    await once(listening, 'close');
    writeFileSync(path, 'mine');
    await expect(serve(`unix:${path}`)).rejects.toMatchObject({ code: 'usage' });
    expect(existsSync(path)).toBe(true);
  });

  test('says so where its port is taken', async () => {
    const first = await serve('127.0.0.1:0');
    await expect(serve(`127.0.0.1:${portOf(first)}`)).rejects.toMatchObject({ code: 'port-in-use' });
  });
});
