/**
 * What the host has out for a guest: listeners that nobody may come to, a resolver that writes down what it is asked, and the
 * two servers of the one allowed name. Each says what came to it; whether it may is judged elsewhere.
 */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { SandError } from '../errors.ts';
import type { Canary, Visit } from './attack.ts';

export const WATCH_LIMITS = {
  /** Addresses of interfaces that get a canary: each takes three attacks, of the hundred that the guest's program tries. */
  addresses: 6,
  /** Visits, questions and connections written down; one is enough to tell. */
  notes: 1_000,
  /** Of one connection to the allowed name's servers. */
  bytes: 16_384,
  /** Ports drawn for a canary until one is free for TCP and UDP alike. */
  draws: 20,
  /** Between two looks for the guest's own server on this host. */
  pollMs: 300,
  /** A port of this host answers at once or is not there. */
  dialMs: 250,
} as const;

export interface HostWatch {
  readonly canaries: readonly Canary[];
  readonly visits: readonly Visit[];
  readonly questions: readonly string[];
  readonly received: readonly string[];
  readonly servedAt: readonly string[];
  readonly resolverPort: number;
  readonly webPort: number;
  readonly tlsPort: number;
  /** Free a moment ago; looked at again and again until `close`. */
  readonly servePort: number;
  close(): Promise<void>;
}

export interface WatchPlan {
  /** A path for a Unix socket. */
  readonly socketPath: string;
  /** Answered with 127.0.0.1; every other name does not exist. */
  readonly allowedName: string;
  /** What the allowed name's servers answer, and the guest's own server says. */
  readonly token: string;
}

/** Raises `port-in-use` where this host has no ports left. */
export async function createHostWatch({ socketPath, allowedName, token }: WatchPlan): Promise<HostWatch> {
  const visits: Visit[] = [];
  const questions: string[] = [];
  const received: string[] = [];
  const servedAt: string[] = [];
  const closing: (() => Promise<void>)[] = [];
  const close = async () => {
    await Promise.all(closing.map((step) => step()));
  };
  const note = <T>(list: T[], value: T) => {
    if (list.length < WATCH_LIMITS.notes) list.push(value);
  };
  try {
    const addresses = hostAddresses();
    const canaries: Canary[] = [];
    for (const address of addresses) {
      const canary = await openCanary(address, (visit) => note(visits, visit), closing);
      if (canary !== null) canaries.push(canary);
    }
    const local = createServer((client) => {
      note(visits, { place: 'unix', from: 'a process' });
      client.destroy();
    });
    await listen(local, { path: socketPath }, closing);
    const web = createServer((client) => answer(client, received, webAnswer(token), isWholeHead));
    const webPort = await listen(web, { host: '127.0.0.1', port: 0 }, closing);
    const tls = createServer((client) => answer(client, received, `${token}\n`, () => true));
    const tlsPort = await listen(tls, { host: '127.0.0.1', port: 0 }, closing);
    const resolverPort = await openResolver(allowedName, (name) => note(questions, name), closing);
    const servePort = await freePort();
    closing.push(watchPort(addresses, servePort, token, (address) => note(servedAt, address)));
    const ports = { resolverPort, webPort, tlsPort, servePort };
    return { canaries, visits, questions, received, servedAt, ...ports, close };
  } catch (error) {
    await close();
    throw new SandError(
      'port-in-use',
      `a listener of sand verify cannot be opened: ${error instanceof Error ? error.message : String(error)}`,
      'end what holds the ports of this machine, and run it again',
      { cause: error },
    );
  }
}

/** Both loopbacks, and what interfaces have; link-local ones need a scope that a guest cannot know. */
function hostAddresses(): readonly string[] {
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80'))
    .map(({ address }) => address);
  return ['127.0.0.1', '::1', ...own.slice(0, WATCH_LIMITS.addresses)];
}

/** Null where this host has no such address after all: IPv6 is off, or an interface is gone. */
async function openCanary(
  address: string,
  visited: (visit: Visit) => void,
  closing: (() => Promise<void>)[],
): Promise<Canary | null> {
  for (let draw = 0; draw < WATCH_LIMITS.draws; draw++) {
    const server = createServer((client) => {
      visited({ place: `tcp ${address}`, from: `${client.remoteAddress} port ${client.remotePort}` });
      client.on('error', () => {}).end('sand verify\n');
    });
    const opened: (() => Promise<void>)[] = [];
    try {
      const port = await listen(server, { host: address, port: 0 }, opened);
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      socket.on('message', (_, { address: from, port: fromPort }) => {
        visited({ place: `udp ${address}`, from: `${from} port ${fromPort}` });
        socket.send('sand verify\n', fromPort, from, () => {});
      });
      await bind(socket, port, address, opened);
      closing.push(...opened);
      return { address, port };
    } catch (error) {
      await Promise.all(opened.map((step) => step()));
      const code = error instanceof Error ? Reflect.get(error, 'code') : null;
      if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return null;
      if (code !== 'EADDRINUSE') throw error;
    }
  }
  throw new Error(`no port of ${address} is free for TCP and UDP`);
}

function answer(client: Socket, received: string[], text: string, isWhole: (heard: string) => boolean): void {
  const at = received.length;
  if (at >= WATCH_LIMITS.notes) return void client.destroy();
  received.push('');
  client
    .on('error', () => {})
    .on('data', (chunk: Buffer) => {
      const heard = received[at] ?? '';
      if (heard.length < WATCH_LIMITS.bytes) received[at] = heard + chunk.toString('latin1');
      if (isWhole(received[at] ?? '')) client.end(text);
    });
}

function isWholeHead(heard: string): boolean {
  return heard.includes('\r\n\r\n');
}

function webAnswer(token: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${token.length}\r\nconnection: close\r\n\r\n${token}`;
}

async function openResolver(
  allowedName: string,
  asked: (name: string) => void,
  closing: (() => Promise<void>)[],
): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (message, { port, address }) => {
    const question = readQuestion(message);
    if (question === null) return;
    asked(question.name);
    const isAllowed = question.name.toLowerCase() === allowedName;
    socket.send(answerOf(message, question, isAllowed), port, address, () => {});
  });
  return bind(socket, 0, '127.0.0.1', closing);
}

interface Question {
  readonly name: string;
  readonly type: number;
  /** Where the question ends in its message. */
  readonly end: number;
}

const HEAD_BYTES = 12;
const TYPE_A = 1;

/** Null where it does not read. */
export function readQuestion(message: Uint8Array): Question | null {
  const labels: string[] = [];
  let at = HEAD_BYTES;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    if (length > 63 || at + length + 1 >= message.length) return null;
    labels.push(Buffer.from(message.subarray(at + 1, at + 1 + length)).toString('latin1'));
    at += length + 1;
  }
  const end = at + 5;
  if (end > message.length || labels.length === 0) return null;
  return { name: labels.join('.'), type: (message[at + 1] ?? 0) * 256 + (message[at + 2] ?? 0), end };
}

/** 127.0.0.1 for the address of the allowed name, nothing for its other types, no such name for others. */
function answerOf(message: Uint8Array, { type, end }: Question, isAllowed: boolean): Buffer {
  const hasAddress = isAllowed && type === TYPE_A;
  const head = Buffer.from(message.subarray(0, HEAD_BYTES));
  head.writeUInt16BE(isAllowed ? 0x8180 : 0x8183, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(hasAddress ? 1 : 0, 6);
  head.writeUInt32BE(0, 8);
  const record = Buffer.of(0xc0, HEAD_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1);
  return Buffer.concat([head, message.subarray(HEAD_BYTES, end), hasAddress ? record : Buffer.alloc(0)]);
}

/** Comes to a port of this host again and again, and tells where it heard the token. Gives what ends it. */
function watchPort(
  addresses: readonly string[],
  port: number,
  token: string,
  served: (address: string) => void,
): () => Promise<void> {
  const found = new Set<string>();
  const timer = setInterval(() => {
    for (const host of addresses) {
      if (found.has(host)) continue;
      let heard = '';
      const socket = connect({ host, port });
      socket.setTimeout(WATCH_LIMITS.dialMs, () => socket.destroy());
      socket
        .on('error', () => {})
        .on('data', (chunk: Buffer) => {
          heard = (heard + chunk.toString('latin1')).slice(0, WATCH_LIMITS.bytes);
          if (!heard.includes(token) || found.has(host)) return;
          found.add(host);
          served(host);
        });
    }
  }, WATCH_LIMITS.pollMs);
  return async () => clearInterval(timer);
}

async function freePort(): Promise<number> {
  const closing: (() => Promise<void>)[] = [];
  const port = await listen(createServer(), { host: '127.0.0.1', port: 0 }, closing);
  await Promise.all(closing.map((step) => step()));
  return port;
}

function listen(
  server: Server,
  where: { readonly host: string; readonly port: number } | { readonly path: string },
  closing: (() => Promise<void>)[],
): Promise<number> {
  const clients = new Set<Socket>();
  server.on('connection', (client) => {
    clients.add(client);
    client.once('close', () => clients.delete(client));
  });
  closing.push(
    () =>
      new Promise((resolve) => {
        for (const client of clients) client.destroy();
        server.close(() => resolve());
      }),
  );
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject).on('error', () => {});
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : 0);
    });
  });
}

function bind(
  socket: DatagramSocket,
  port: number,
  address: string,
  closing: (() => Promise<void>)[],
): Promise<number> {
  closing.push(
    () =>
      new Promise((resolve) => {
        socket.close(() => resolve());
      }),
  );
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ port, address, exclusive: true }, () => {
      socket.off('error', reject).on('error', () => {});
      resolve(socket.address().port);
    });
  });
}
