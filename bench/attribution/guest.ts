/**
 * A stand-in for a guest, started by `unshare` as the first process of namespaces of its own: hands over listeners of its
 * loopback, and connects to them as it is told, itself or by a process of its own. Decides nothing.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export type GuestTask =
  | { readonly do: 'listen' }
  /** Keeps `count` connections, and gives the local ports. */
  | { readonly do: 'connect'; readonly port: number; readonly count: number }
  /** A process with this name and these arguments connects; gives its pid, as the guest has it, and the port. */
  | {
      readonly do: 'child';
      readonly port: number;
      readonly argv0: string;
      readonly args: readonly string[];
      readonly host?: string;
    }
  /** So many processes that connect nowhere. */
  | { readonly do: 'crowd'; readonly count: number }
  | { readonly do: 'datagram' }
  | { readonly do: 'end-children' }
  /** One request after another at a proxy, each on a connection of its own. */
  | { readonly do: 'requests'; readonly port: number; readonly count: number };

const CHILD = `
const socket = require('node:net').connect({ port: Number(process.env.PORT), host: process.env.HOST });
socket.on('connect', () => process.send(socket.localPort));
socket.on('error', () => process.exit(1));
process.on('disconnect', () => process.exit(0));
`;

const kept: Socket[] = [];
const children: ChildProcess[] = [];

async function carryOut(task: GuestTask): Promise<unknown> {
  switch (task.do) {
    case 'listen': {
      const server = createServer({ allowHalfOpen: true });
      server.listen({ port: 0, host: '::', ipv6Only: false });
      await once(server, 'listening');
      const at = server.address();
      // Two owners would share out the connections.
      process.send?.({ handed: typeof at === 'object' ? at?.port : 0 }, server, {}, () => server.close());
      return null;
    }
    case 'connect': {
      const ports: number[] = [];
      for (let made = 0; made < task.count; made += 1) {
        const socket = connect({ port: task.port, host: '127.0.0.1' });
        socket.on('error', () => {});
        await once(socket, 'connect');
        kept.push(socket);
        ports.push(socket.localPort ?? 0);
      }
      return ports;
    }
    case 'child': {
      const child = spawn(process.execPath, ['-e', CHILD, '--', ...task.args], {
        argv0: task.argv0,
        env: { PORT: String(task.port), HOST: task.host ?? '127.0.0.1' },
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
      children.push(child);
      const [port] = await once(child, 'message');
      return { pid: child.pid, port };
    }
    case 'crowd': {
      for (let made = 0; made < task.count; made += 1)
        children.push(spawn('sleep', ['1000'], { stdio: 'ignore' }));
      return null;
    }
    case 'datagram': {
      const socket = createSocket('udp4');
      socket.bind({ port: 0 });
      await once(socket, 'listening');
      return socket.address().port;
    }
    case 'end-children': {
      for (const child of children.splice(0)) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      return null;
    }
    case 'requests': {
      const startedAt = performance.now();
      for (let made = 0; made < task.count; made += 1) await request(task.port);
      return performance.now() - startedAt;
    }
  }
}

async function request(port: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.end('GET http://refused.example/ HTTP/1.1\r\nHost: refused.example\r\nConnection: close\r\n\r\n');
  socket.resume();
  await once(socket, 'close');
}

execFileSync('ip', ['link', 'set', 'lo', 'up']);
process.on('message', (task: GuestTask) => {
  void carryOut(task).then((value) => process.send?.({ value }));
});
process.on('disconnect', () => process.exit(0));
process.send?.({ value: 'up' });
