/**
 * The relay link, on the host: two Unix sockets at which the guest's connections arrive, each with a head that says
 * where it was going. Owns both and whatever came by them; the program at the other end is in `guest/`.
 */
import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { SOCKET_PATH_BYTES } from '../../control/protocol.ts';
import { SandError } from '../../errors.ts';
import type { Destination } from '../arrivals.ts';
import { FIXED_BYTES, furtherBytes, parseRelayHead, type RelayHead } from './proxy-header.ts';

export const RELAY_LIMITS = {
  /** At each socket, of one guest: more than the gateway carries, so that it is the gateway who refuses, and says so. */
  connections: 8_192,
  /** The relay writes it first of all; a guest that dials the socket itself may never. */
  headMs: 10_000,
} as const;

export interface RelayConsumer {
  /** A TCP connection of the guest. */
  stream(socket: Socket, destination: Destination): void;
  /** DNS, framed as over TCP; for `udp` one question that came as a datagram. */
  dns(socket: Socket, transport: 'tcp' | 'udp'): void;
  /** What the relay holds as long as it lives was cut: the guest is gone. Called at most once, and never after `close`. */
  lost(error: SandError): void;
}

export interface RelayLink {
  /** Absolute paths on the host; they stand as long as this does. */
  readonly proxySocket: string;
  readonly dnsSocket: string;
  /** Idempotent. */
  close(): Promise<void>;
}

/** `folder` is the guest's own and open to nobody else: whoever reaches a socket in it is that guest. Raises `link-failed`. */
export async function createRelayLink(folder: string, consumer: RelayConsumer): Promise<RelayLink> {
  const connections = new Set<Socket>();
  const servers: Server[] = [];
  let isClosing = false;
  let isLost = false;
  let life: Socket | null = null;
  const close = async () => {
    isClosing = true;
    for (const socket of connections) socket.destroy();
    await Promise.all(servers.map(closeServer));
  };
  const lost = () => {
    if (isClosing || isLost) return;
    isLost = true;
    consumer.lost(guestGone());
  };
  const hold = (socket: Socket) => {
    // A process of the guest may dial the socket as well, and say the same: only the first is the relay's.
    if (life !== null) return void socket.destroy();
    life = socket
      .on('close', lost)
      .on('end', () => socket.destroy())
      .resume();
  };
  const open = async (name: string, arrived: (socket: Socket, head: RelayHead) => void) => {
    const path = join(folder, name);
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      connections.add(socket);
      socket.once('close', () => connections.delete(socket));
      socket.on('error', () => socket.destroy());
      readHead(socket, arrived);
    });
    server.maxConnections = RELAY_LIMITS.connections;
    servers.push(server);
    await listen(server, path);
    return path;
  };
  try {
    const proxySocket = await open('proxy.sock', (socket, head) => {
      if (head.kind === 'own') return hold(socket);
      if (head.transport !== 'tcp') return void socket.destroy();
      consumer.stream(socket, head.destination);
    });
    const dnsSocket = await open('dns.sock', (socket, head) => {
      if (head.kind === 'own') return void socket.destroy();
      consumer.dns(socket, head.transport);
    });
    return { proxySocket, dnsSocket, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Bytes behind the head stay in the socket for whoever takes it. Fail closed: what has no head that reads is destroyed. */
function readHead(socket: Socket, arrived: (socket: Socket, head: RelayHead) => void): void {
  let fixed: Buffer | null = null;
  const timer = setTimeout(() => socket.destroy(), RELAY_LIMITS.headMs);
  const done = () => {
    clearTimeout(timer);
    socket.off('readable', read).off('close', done);
  };
  const read = () => {
    fixed ??= take(socket, FIXED_BYTES);
    if (fixed === null) return;
    const length = furtherBytes(fixed);
    const further = length === null ? Buffer.alloc(0) : take(socket, length);
    if (further === null) return;
    done();
    const head = parseRelayHead(fixed, further);
    if (head === null) return void socket.destroy();
    arrived(socket, head);
  };
  socket.on('readable', read).on('close', done);
}

/** Null until they are there; fewer where the other end ended before. */
function take(socket: Socket, bytes: number): Buffer | null {
  if (bytes === 0) return Buffer.alloc(0);
  const chunk: unknown = socket.read(bytes);
  return Buffer.isBuffer(chunk) ? chunk : null;
}

/** Modes of the socket are copied into the guest, where every user may dial it; on the host the folder guards it. */
function listen(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES) throw cannotListen(path, 'the path is too long');
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(path, error.message)));
    server.listen(path, () => {
      chmodSync(path, 0o666);
      server.on('error', () => {});
      resolve();
    });
  });
}

function cannotListen(path: string, why: string): SandError {
  return new SandError(
    'link-failed',
    `the guest\u2019s socket ${path} cannot be made: ${why}`,
    'set XDG_STATE_HOME to a folder with a short path on a disk of this host',
  );
}

function guestGone(): SandError {
  return new SandError(
    'guest-failed',
    'the guest ended by itself, or was ended from outside: its relay is gone',
    'run `sand doctor`, and look at what the backend\u2019s own tool says of it',
  );
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
