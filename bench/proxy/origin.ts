/**
 * The origins of the proxy benchmark, in one process: a port that stays quiet, one that sends without end, one that
 * answers HTTP, and a name server that knows the name of all three.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { serveTasks } from '../program.ts';

export interface OriginPorts {
  readonly quiet: number;
  readonly source: number;
  readonly http: number;
  readonly dns: number;
}

const LOOPBACK = '127.0.0.1';
/** Thousands of tunnels are opened in one go. */
const BACKLOG = 4096;
const CHUNK = Buffer.alloc(64 * 1024, 'x');
const HEAD_END = '\r\n\r\n';
const BODY = 'a small answer, as interfaces give them '.repeat(3);
const RESPONSE = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
);

function sendWithoutEnd(socket: Socket): void {
  const send = (): void => {
    // False where the kernel takes no more: `drain` comes then.
    while (socket.writable && socket.write(CHUNK));
  };
  socket.on('drain', send);
  socket.resume();
  send();
}

function answerRequests(socket: Socket): void {
  let rest = '';
  socket.setNoDelay(true);
  socket.on('data', (chunk: Buffer) => {
    const heads = (rest + chunk.toString('latin1')).split(HEAD_END);
    rest = heads.pop() ?? '';
    for (const _ of heads) socket.write(RESPONSE);
  });
}

async function listen(serve: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen({ port: 0, host: LOOPBACK, backlog: BACKLOG });
  await once(server, 'listening');
  const at = server.address();
  return typeof at === 'object' && at !== null ? at.port : 0;
}

/** Every name is at 127.0.0.1 and has no other record (RFC 1035 section 4). */
async function serveNames(): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (query, peer) => {
    let end = 12;
    while ((query[end] ?? 0) > 0) end += (query[end] ?? 0) + 1;
    const isAddress = query.readUInt16BE(end + 1) === 1;
    const head = Buffer.from([
      query[0] ?? 0,
      query[1] ?? 0,
      0x81,
      0x80,
      0,
      1,
      0,
      isAddress ? 1 : 0,
      0,
      0,
      0,
      0,
    ]);
    const record = isAddress ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 127, 0, 0, 1] : [];
    const reply = Buffer.concat([head, query.subarray(12, end + 5), Buffer.from(record)]);
    socket.send(reply, peer.port, peer.address);
  });
  socket.bind({ port: 0, address: LOOPBACK });
  await once(socket, 'listening');
  return socket.address().port;
}

const ports: OriginPorts = {
  quiet: await listen((socket) => socket.resume()),
  source: await listen(sendWithoutEnd),
  http: await listen(answerRequests),
  dns: await serveNames(),
};
serveTasks(ports, async () => ({}));
