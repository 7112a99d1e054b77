/** What the guests of the ethernet benchmark talk to: by the first byte it sends for ever, takes everything, or answers once. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { serveTasks } from '../program.ts';

export interface OriginReady {
  readonly port: number;
}

const PIECE = Buffer.alloc(256 * 1024, 'o');

function pour(socket: Socket): void {
  while (!socket.destroyed && socket.write(PIECE));
}

const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', (first) => {
    if (first[0] === 0x64) {
      socket.on('drain', () => pour(socket));
      pour(socket);
    } else if (first[0] !== 0x75) socket.write('!');
  });
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const address = server.address();
const ready: OriginReady = { port: typeof address === 'object' && address !== null ? address.port : 0 };
serveTasks(ready, async () => ({}));
