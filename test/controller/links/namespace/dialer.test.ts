import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { FromDialer } from '../../../../controller/links/namespace/messages.ts';

const DIALER = fileURLToPath(new URL('../../../../controller/links/namespace/dialer.ts', import.meta.url));
const children: ChildProcess[] = [];
const servers: Server[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const server of servers.splice(0)) server.close();
});

/** In this very network namespace, which is as good as a guest's here. */
function startDialer(ports: readonly number[], namespace = readlinkSync('/proc/self/ns/net')): ChildProcess {
  const child = fork(DIALER, [JSON.stringify({ namespace, ports })], {
    stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  });
  children.push(child);
  return child;
}

async function serve(host: string, onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    onConnection(socket);
  });
  servers.push(server);
  server.listen({ host, port: 0 });
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function dial(dialer: ChildProcess, port: number): Promise<readonly [FromDialer, Socket | undefined]> {
  dialer.send({ type: 'dial', id: 7, port });
  const [message, socket] = (await once(dialer, 'message')) as [FromDialer, Socket | undefined];
  return [message, socket];
}

describe('the dialer', () => {
  it.each([['127.0.0.1'], ['::1']])(
    'hands over a connection to a server on %s, its first bytes too',
    async (host) => {
      const port = await serve(host, (socket) => {
        socket.write('hello ');
        void text(socket).then((all) => socket.end(all));
      });
      const [message, socket] = await dial(startDialer([port]), port);
      expect(message).toEqual({ type: 'dialled', id: 7 });
      if (socket === undefined) throw new Error('no socket');
      socket.allowHalfOpen = true;
      socket.end('word');
      expect(await text(socket)).toBe('hello word');
    },
  );

  it('keeps no copy: the server meets the end when the one that was handed over is closed', async () => {
    const { promise: met, resolve } = Promise.withResolvers<void>();
    const port = await serve('127.0.0.1', (socket) => socket.on('end', resolve).resume());
    const [, socket] = await dial(startDialer([port]), port);
    socket?.end();
    await met;
  });

  it('dials no port that was not published, whoever asks', async () => {
    let connections = 0;
    const port = await serve('127.0.0.1', () => (connections += 1));
    const [message, socket] = await dial(startDialer([port + 1]), port);
    expect(message).toEqual({ type: 'refused', id: 7, detail: `port ${port} is not published` });
    expect([socket, connections]).toEqual([undefined, 0]);
  });

  it('says where nobody answered', async () => {
    const port = await serve('127.0.0.1', () => {});
    servers.pop()?.close();
    const [message] = await dial(startDialer([port]), port);
    expect(message).toMatchObject({
      type: 'refused',
      detail: expect.stringContaining('127.0.0.1: ECONNREFUSED'),
    });
  });

  it('does not stay in a network namespace other than the guest’s', async () => {
    expect(await once(startDialer([80], 'net:[1]'), 'exit')).toEqual([1, null]);
  });

  it.each([
    ['its channel', (child: ChildProcess) => child.disconnect()],
    ['its standard input', (child: ChildProcess) => child.stdin?.end()],
  ])('ends with %s', async (_, cut) => {
    const port = await serve('127.0.0.1', () => {});
    const dialer = startDialer([port]);
    const [message] = await dial(dialer, port);
    expect(message.type).toBe('dialled');
    const ended = once(dialer, 'exit');
    cut(dialer);
    expect(await ended).toEqual([0, null]);
  });
});
