/**
 * The load generator of the proxy benchmark, a program that carries out one task at a time: clients of raw sockets,
 * so that what is measured is the proxy and not an HTTP library. Figures go back; nothing is judged here.
 */
import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { serveTasks } from '../program.ts';

/** How the origin is reached: straight, or by a proxy on 127.0.0.1 that is told `host`. */
export interface Route {
  /** Null: straight. */
  readonly proxyPort: number | null;
  readonly host: string;
  readonly port: number;
}

export type Task =
  /** Opens and drops tunnels for `ms`, so many at a time. */
  | { readonly kind: 'tunnels'; readonly route: Route; readonly atOnce: number; readonly ms: number }
  /** Reads from so many tunnels for `ms`. */
  | { readonly kind: 'streams'; readonly route: Route; readonly streams: number; readonly ms: number }
  /** Plain HTTP requests for `ms`, by so many clients that keep their connections. */
  | { readonly kind: 'requests'; readonly route: Route; readonly atOnce: number; readonly ms: number }
  /** Opens tunnels until so many are held. */
  | { readonly kind: 'hold'; readonly route: Route; readonly tunnels: number }
  | { readonly kind: 'release' }
  /** DNS questions for `ms`, one at a time. */
  | { readonly kind: 'questions'; readonly port: number; readonly name: string; readonly ms: number };

export interface Figures {
  /** Tunnels, requests, answers; of streams, bytes. */
  readonly count: number;
  readonly elapsedMs: number;
  readonly failures: number;
  /** Of each one, in milliseconds; empty for streams. */
  readonly times: readonly number[];
}

const LOOPBACK = '127.0.0.1';
const HEAD_END = Buffer.from('\r\n\r\n');
const READ_BYTES = 64 * 1024;
/** What the origin answers with, behind its head. */
const BODY_BYTES = 120;
/** Tunnels that are opened at a time while thousands are held. */
const HOLD_AT_ONCE = 64;
/** A client that waits longer has been forgotten. */
const ANSWER_TIMEOUT_MS = 5_000;
/** A proxy that refuses every time ends a task early. */
const MAX_FAILURES = 200;
/** Held tunnels that do not come even so are given up. */
const HOLD_TIMEOUT_MS = 25_000;

/** Resolves once bytes can flow; null when they cannot. `onBytes` gets what comes behind the reply. */
function openTunnel(route: Route, onBytes: (bytes: number) => void): Promise<Socket | null> {
  const { promise, resolve } = Promise.withResolvers<Socket | null>();
  let head = route.proxyPort === null ? null : '';
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  const callback = (size: number): boolean => {
    if (head === null) {
      onBytes(size);
      return true;
    }
    head += buffer.toString('latin1', 0, size);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return true;
    if (/^HTTP\/1\.[01] 200 /.test(head)) resolve(socket);
    else socket.destroy();
    const rest = head.length - end - HEAD_END.length;
    head = null;
    if (rest > 0) onBytes(rest);
    return true;
  };
  const socket = connect({
    host: LOOPBACK,
    port: route.proxyPort ?? route.port,
    onread: { buffer, callback },
  });
  socket.setNoDelay(true);
  const authority = `${route.host}:${route.port}`;
  socket.on('connect', () => {
    if (route.proxyPort === null) resolve(socket);
    else socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  });
  socket.on('error', () => {});
  socket.on('close', () => resolve(null));
  return promise;
}

/** A reset leaves no port behind in TIME_WAIT. */
function drop(socket: Socket): void {
  socket.resetAndDestroy();
}

/** Repeats `once` in so many lanes until the time is over. */
async function repeat(atOnce: number, ms: number, once: () => Promise<boolean>): Promise<Figures> {
  const times: number[] = [];
  let failures = 0;
  const start = performance.now();
  const lane = async (): Promise<void> => {
    while (performance.now() - start < ms && failures < MAX_FAILURES) {
      const before = performance.now();
      if (await once()) times.push(performance.now() - before);
      else failures += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return { count: times.length, elapsedMs: performance.now() - start, failures, times };
}

function tunnels({ route, atOnce, ms }: Extract<Task, { kind: 'tunnels' }>): Promise<Figures> {
  return repeat(atOnce, ms, async () => {
    const socket = await openTunnel(route, () => {});
    if (socket !== null) drop(socket);
    return socket !== null;
  });
}

/** Every byte counts from the first tunnel on, so that the proxy's processor time is for these bytes and no others. */
async function streams(task: Extract<Task, { kind: 'streams' }>): Promise<Figures> {
  let bytes = 0;
  const start = performance.now();
  const opened = await Promise.all(
    Array.from({ length: task.streams }, () =>
      openTunnel(task.route, (size) => {
        bytes += size;
      }),
    ),
  );
  const open = opened.filter((socket) => socket !== null);
  await waitMs(task.ms);
  const figures = { count: bytes, elapsedMs: performance.now() - start };
  for (const socket of open) drop(socket);
  return { ...figures, failures: task.streams - open.length, times: [] };
}

async function requests({ route, atOnce, ms }: Extract<Task, { kind: 'requests' }>): Promise<Figures> {
  const clients = Array.from({ length: atOnce }, () => new HttpClient(route));
  const idle = [...clients];
  const figures = await repeat(atOnce, ms, async () => {
    const client = idle.pop();
    if (client === undefined) throw new Error('more lanes than clients');
    const answered = await client.ask();
    idle.push(client);
    return answered;
  });
  for (const client of clients) client.close();
  return figures;
}

/**
 * One client that keeps its connection. Where the proxy has closed it meanwhile, the request goes out once more on a
 * new one, as every HTTP client does it.
 */
class HttpClient {
  readonly #route: Route;
  readonly #request: string;
  #socket: Socket | null = null;
  #isFresh = true;
  #answered: ((answered: boolean) => void) | null = null;
  #received: Buffer = Buffer.alloc(0);

  constructor(route: Route) {
    const authority = `${route.host}:${route.port}`;
    const target = route.proxyPort === null ? '/' : `http://${authority}/`;
    this.#route = route;
    this.#request = `GET ${target} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
  }

  ask(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#answered = resolve;
    this.#send();
    return promise;
  }

  close(): void {
    if (this.#socket !== null) drop(this.#socket);
  }

  #send(): void {
    this.#isFresh = this.#socket === null;
    this.#socket ??= this.#connect();
    this.#received = Buffer.alloc(0);
    this.#socket.write(this.#request);
  }

  #connect(): Socket {
    const socket = connect({ host: LOOPBACK, port: this.#route.proxyPort ?? this.#route.port });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => {});
    const gone = (): void => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      drop(socket);
      if (this.#answered === null) return;
      if (!this.#isFresh && this.#received.length === 0) this.#send();
      else this.#settle(false);
    };
    socket.on('end', gone);
    socket.on('close', gone);
    return socket;
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const end = this.#received.indexOf(HEAD_END);
    if (end < 0 || this.#received.length < end + HEAD_END.length + BODY_BYTES) return;
    const head = this.#received.toString('latin1', 0, end);
    if (/^connection: close/im.test(head) && this.#socket !== null) {
      drop(this.#socket);
      this.#socket = null;
    }
    this.#settle(/^HTTP\/1\.[01] 200 /.test(head));
  }

  #settle(answered: boolean): void {
    this.#answered?.(answered);
    this.#answered = null;
  }
}

/** Keeps what it opens from one task to the next. */
class Holder {
  readonly #held = new Set<Socket>();

  async hold({ route, tunnels: wanted }: Extract<Task, { kind: 'hold' }>): Promise<Figures> {
    const start = performance.now();
    let failures = 0;
    let opening = 0;
    const lane = async (): Promise<void> => {
      while (this.#held.size + opening < wanted && failures < MAX_FAILURES) {
        if (performance.now() - start > HOLD_TIMEOUT_MS) return;
        opening += 1;
        const socket = await openTunnel(route, () => {});
        opening -= 1;
        if (socket === null) {
          failures += 1;
          continue;
        }
        this.#held.add(socket);
        socket.on('close', () => this.#held.delete(socket));
      }
    };
    await Promise.all(Array.from({ length: HOLD_AT_ONCE }, lane));
    return { count: this.#held.size, elapsedMs: performance.now() - start, failures, times: [] };
  }

  release(): Figures {
    const count = this.#held.size;
    for (const socket of this.#held) drop(socket);
    return { count, elapsedMs: 0, failures: 0, times: [] };
  }
}

/** A query for an address (RFC 1035 section 4.1), with an id that only its own answer carries. */
function question(id: number, name: string): Buffer {
  const head = Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}

async function questions({ port, name, ms }: Extract<Task, { kind: 'questions' }>): Promise<Figures> {
  const socket = createSocket('udp4');
  let id = 0;
  let answered: (isAnswer: boolean) => void = () => {};
  socket.on('message', (message) => {
    if (message.readUInt16BE(0) === id) answered(true);
  });
  socket.on('error', () => answered(false));
  const figures = await repeat(1, ms, async () => {
    id = (id + 1) & 0xffff;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    answered = resolve;
    const timer = setTimeout(resolve, ANSWER_TIMEOUT_MS, false);
    socket.send(question(id, name), port, LOOPBACK);
    const isAnswer = await promise;
    clearTimeout(timer);
    return isAnswer;
  });
  socket.close();
  return figures;
}

function waitMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const holder = new Holder();

async function carryOut(task: Task): Promise<Figures> {
  switch (task.kind) {
    case 'tunnels':
      return tunnels(task);
    case 'streams':
      return streams(task);
    case 'requests':
      return requests(task);
    case 'hold':
      return holder.hold(task);
    case 'release':
      return holder.release();
    case 'questions':
      return questions(task);
  }
}

serveTasks({}, carryOut);
