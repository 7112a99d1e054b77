import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createHostWatch, type HostWatch, readQuestion } from '../../../controller/verify/host-watch.ts';
import { framedQuestion } from '../../../controller/verify/messages.ts';

let folder: string;
let watch: HostWatch;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'watch-'));
  watch = await createHostWatch({
    socketPath: join(folder, 's.sock'),
    allowedName: 'allowed.example',
    token: 'token-1',
  });
});
afterEach(async () => {
  await watch.close();
  rmSync(folder, { recursive: true, force: true });
});

async function heardFrom(socket: Socket, said = ''): Promise<string> {
  let heard = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text;
  });
  if (said !== '') socket.write(said);
  await once(socket, 'close');
  return heard;
}

async function ask(name: string): Promise<Buffer> {
  const socket = createSocket('udp4');
  socket.send(framedQuestion(name).subarray(2), watch.resolverPort, '127.0.0.1');
  const [answer] = (await once(socket, 'message')) as [Buffer];
  socket.close();
  return answer;
}

it('writes down who comes to a canary, by TCP, UDP and a Unix socket', async () => {
  const [near] = watch.canaries;
  expect(near?.address).toBe('127.0.0.1');
  await heardFrom(connect(near?.port ?? 0, '127.0.0.1'));
  await heardFrom(connect(join(folder, 's.sock')));
  const socket = createSocket('udp4');
  socket.send('x', near?.port ?? 0, '127.0.0.1');
  await once(socket, 'message');
  socket.close();
  expect(watch.visits.map(({ place }) => place)).toEqual(['tcp 127.0.0.1', 'unix', 'udp 127.0.0.1']);
});

it('keeps what the servers of the allowed name got, and answers it', async () => {
  expect(await heardFrom(connect(watch.webPort, '127.0.0.1'), 'GET /a HTTP/1.1\r\n\r\n')).toMatch(
    /^HTTP\/1\.1 200 OK\r\n.*token-1$/s,
  );
  expect(await heardFrom(connect(watch.tlsPort, '127.0.0.1'), 'hello')).toBe('token-1\n');
  expect(watch.received).toEqual(['GET /a HTTP/1.1\r\n\r\n', 'hello']);
});

it('answers the allowed name alone, and writes down every question', async () => {
  const allowed = await ask('Allowed.Example');
  expect([...allowed.subarray(-4)]).toEqual([127, 0, 0, 1]);
  const denied = await ask('data.denied.example');
  expect((denied[3] ?? 0) & 15).toBe(3);
  expect(watch.questions).toEqual(['Allowed.Example', 'data.denied.example']);
});

it('tells where the guest\u2019s own server answers on this host', async () => {
  const server = createServer((client) => client.end('token-1'));
  await new Promise<void>((resolve) => server.listen(watch.servePort, '127.0.0.1', resolve));
  await vi.waitUntil(() => watch.servedAt.length > 0, { timeout: 20_000 });
  expect(watch.servedAt).toEqual(['127.0.0.1']);
  await new Promise((resolve) => server.close(resolve));
});

it.each(['', 'ff'.repeat(20), '5a4e01000001000000000000ff', '5a4e010000010000000000000161'])(
  'reads no question out of %s',
  (hex) => {
    expect(readQuestion(Buffer.from(hex, 'hex'))).toBeNull();
  },
);
