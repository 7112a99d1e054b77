import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { resetSocket } from '../../proxy/guest.ts';

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

/** Both ends of a connection on loopback. */
async function pair(): Promise<readonly [Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  const client = connect({ host: '127.0.0.1', port: address.port, allowHalfOpen: true });
  const [served] = (await once(server, 'connection')) as [Socket];
  await once(client, 'connect');
  server.close();
  for (const socket of [served, client]) {
    socket.on('error', () => {});
    open.push(socket);
  }
  return [served, client];
}

it('is seen as a reset by the peer', async () => {
  const [ours, peer] = await pair();
  peer.resume();
  const failed = new Promise((resolve) => peer.on('error', resolve));
  resetSocket(ours);
  expect(await failed).toMatchObject({ code: 'ECONNRESET' });
});

it('comes to its close also while its own side is being ended, which no reset can interrupt', async () => {
  const [ours, peer] = await pair();
  peer.resume();
  const closed = once(ours, 'close');
  ours.end();
  resetSocket(ours);
  await closed;
});

it('leaves no regular end behind where something is still unwritten', async () => {
  const [ours, peer] = await pair();
  peer.pause();
  ours.end(Buffer.alloc(64 * 1024 * 1024));
  expect(ours.writableLength).toBeGreaterThan(0);
  resetSocket(ours);
  peer.resume();
  const ended = await new Promise((resolve) => {
    peer.on('end', () => resolve('end'));
    peer.on('error', (error) => resolve(Reflect.get(error, 'code')));
  });
  expect(ended).toBe('ECONNRESET');
});
