/**
 * The pool of plain-HTTP connections to vetted addresses. Keeps what is idle for a few seconds; dials nothing.
 */
import { Agent, type ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import { PROXY_BOUNDS } from './limits.ts';

/**
 * Keeps idle upstream connections by address and port, and makes none of its own: a request either takes an
 * idle one or the one that is offered, so that nothing is dialled that was not vetted for it.
 */
export class UpstreamAgent extends Agent {
  #offered: Socket | null = null;
  /** The idle connections, out of the library's sight while one is offered: it would take an idle one first. */
  #aside: Record<string, Socket[] | undefined> = {};

  constructor() {
    super({ keepAlive: true, maxFreeSockets: PROXY_BOUNDS.idleUpstreamsPerOrigin });
  }

  /** The next request takes this connection and no idle one, which may be dead by now. `withdraw` in the same turn. */
  offer(socket: Socket): void {
    this.#offered = socket;
    this.#aside = { ...this.freeSockets };
    for (const key of Object.keys(this.#aside)) Reflect.deleteProperty(this.freeSockets, key);
  }

  /** Ends an offer, and destroys what was not taken. */
  withdraw(): void {
    this.#offered?.destroy();
    this.#offered = null;
    Object.assign(this.freeSockets, this.#aside);
    this.#aside = {};
  }

  /** The first of `keys` (a vetted address, or what names a way through a parent proxy) with a live connection. */
  findIdle(keys: readonly string[], port: number): string | null {
    for (const key of keys) {
      const idle = this.freeSockets[this.getName({ host: key, port })] ?? [];
      if (idle.some((socket) => socket.readable && socket.writable)) return key;
    }
    return null;
  }

  override createConnection(): Socket {
    const socket = this.#offered;
    this.#offered = null;
    // Fail closed: the library wants a connection that nobody vetted.
    if (socket === null) throw new Error('no vetted connection is offered');
    return socket;
  }

  override keepSocketAlive(socket: Socket): boolean {
    const idle = Object.values(this.freeSockets).reduce((sum, sockets) => sum + (sockets?.length ?? 0), 0);
    if (idle >= PROXY_BOUNDS.idleUpstreams) return false;
    const isKept: unknown = super.keepSocketAlive(socket);
    if (isKept !== true) return false;
    // An origin's own Keep-Alive hint has set a timeout already; the shorter one counts.
    const hinted =
      socket.timeout === undefined || socket.timeout === 0 ? Number.POSITIVE_INFINITY : socket.timeout;
    socket.setTimeout(Math.min(hinted, PROXY_BOUNDS.idleUpstreamMs));
    return true;
  }

  override reuseSocket(socket: Socket, by: ClientRequest): void {
    super.reuseSocket(socket, by);
    socket.setTimeout(0);
  }
}
