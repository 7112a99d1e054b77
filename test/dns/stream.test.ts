import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { DNS_LIMITS } from '../../dns/limits.ts';
import { createStreamClients } from '../../dns/stream.ts';
import { query } from './messages.ts';
import { framed } from './world.ts';

test('a client that asks and does not read its answers is cut off', async () => {
  const clients = createStreamClients(async () => Buffer.alloc(60_000), DNS_LIMITS);
  const server = createServer((socket) => clients.accept(socket));
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const at = server.address();
  const socket = connect({ port: at !== null && typeof at === 'object' ? at.port : 0, host: '127.0.0.1' });
  const ended = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  socket.pause();
  const burst = Buffer.concat(Array.from({ length: 512 }, () => framed(query('example.com'))));
  const pour = setInterval(() => socket.write(burst), 1);
  await ended;
  clearInterval(pour);
  server.close();
});

test('a frame longer than any query ends the connection', async () => {
  let asked = 0;
  const clients = createStreamClients(async () => {
    asked += 1;
    return null;
  }, DNS_LIMITS);
  const server = createServer((socket) => clients.accept(socket));
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const at = server.address();
  const socket = connect({ port: at !== null && typeof at === 'object' ? at.port : 0, host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.resume();
  socket.write(Buffer.from([0xff, 0xff]));
  await new Promise((resolve) => socket.once('close', resolve));
  expect(asked).toBe(0);
  server.close();
});

test('an idle client is destroyed, not half-closed: one that never ends its side holds nothing', async () => {
  const clients = createStreamClients(async () => null, { ...DNS_LIMITS, streamIdleMs: 50 });
  const server = createServer({ allowHalfOpen: true }, (socket) => clients.accept(socket));
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const at = server.address();
  const port = at !== null && typeof at === 'object' ? at.port : 0;
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  await once(server, 'connection');
  const count = (): Promise<number> =>
    new Promise((resolve, reject) => {
      server.getConnections((error, open) => (error === null ? resolve(open) : reject(error)));
    });
  await expect.poll(count, { timeout: 5_000 }).toBe(0);
  expect(socket.destroyed).toBe(false);
  socket.destroy();
  server.close();
});

test('a client that pours questions gives way to other sockets between its turns', async () => {
  let answered = 0;
  let mostBetweenTurns = 0;
  let atLastTurn = 0;
  const clients = createStreamClients(
    async (message) => {
      answered += 1;
      return message;
    },
    { ...DNS_LIMITS, streamTurn: 4 },
  );
  const server = createServer((socket) => clients.accept(socket));
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const at = server.address();
  const socket = connect({ port: at !== null && typeof at === 'object' ? at.port : 0, host: '127.0.0.1' });
  socket.on('error', () => {});
  const all = 1_000;
  let turns = true;
  const turn = (): void => {
    mostBetweenTurns = Math.max(mostBetweenTurns, answered - atLastTurn);
    atLastTurn = answered;
    if (turns) setImmediate(turn);
  };
  turn();
  let received = 0;
  const size = framed(query('example.com')).length;
  socket.on('data', (chunk) => {
    received += chunk.length;
  });
  socket.write(Buffer.concat(Array.from({ length: all }, () => framed(query('example.com')))));
  await expect.poll(() => received, { timeout: 10_000 }).toBe(all * size);
  turns = false;
  expect(mostBetweenTurns).toBeLessThanOrEqual(8);
  socket.destroy();
  clients.close();
  server.close();
});
