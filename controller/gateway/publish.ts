/**
 * Published ports: listeners on the host through which people there reach servers in the guest. Each connection is
 * dialled through the guest's link, put on record, and spliced. Opens no way out: what comes here came from the host.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { AuditSink, InboundConnection } from '../../audit/event.ts';
import { REFUSED_PORTS } from '../../dns/limits.ts';
import type { IpAddress } from '../../policies/model.ts';
import type { Reason } from '../../policies/reasons.ts';
import { Bursts } from '../../proxy/bursts.ts';
import { ignore, resetSocket } from '../../proxy/guest.ts';
import { PROXY_BOUNDS, PROXY_LIMITS } from '../../proxy/limits.ts';
import { splice } from '../../proxy/splice.ts';
import { TurnShare } from '../../proxy/turn-share.ts';
import { SandError } from '../errors.ts';
import type { Dial } from '../links/dial.ts';
import { formatPlace, type PortFlag } from '../run/port-flag.ts';
import { type InboundEnd, InboundFlight } from './inbound-flight.ts';
import { leadsTo } from './own-place.ts';

/** At all published ports together: a browser opens six to an origin, a load test some hundred. */
const INBOUND_CONNECTIONS = 512;
/** Of this process's descriptors, one in eight for connections of people at the host. */
const DESCRIPTOR_SHARE = 8;
/** A free port is none of the resolvers' by its very range; a host may be set up otherwise. */
const FREE_PORT_ATTEMPTS = 3;
const EMPTY = Buffer.alloc(0);

export interface PublishedPort {
  readonly address: IpAddress;
  /** The real one, where any free one was asked for. */
  readonly hostPort: number;
  readonly guestPort: number;
}

export interface PublishOptions {
  readonly ports: readonly PortFlag[];
  readonly audit: AuditSink;
  /** A number for a connection that no other of this log has. */
  readonly takeNumber: () => number;
  readonly connections: number;
  /** Of a connection, without a byte; null: no limit. */
  readonly idleMs?: number | null;
}

export interface Publisher {
  readonly ports: readonly PublishedPort[];
  /** Until then whoever comes is refused. */
  onDial(dial: Dial): void;
  /** Whether dialling this address and port would come back to the guest by its own published port. */
  isOwn(address: IpAddress, port: number): boolean;
  /** Ends every listener and connection at once; idempotent. */
  close(): Promise<void>;
}

/** `openFiles` null: not known. Pure. */
export function inboundWithin(openFiles: number | null): number {
  if (openFiles === null) return INBOUND_CONNECTIONS;
  return Math.max(1, Math.min(INBOUND_CONNECTIONS, Math.floor(openFiles / DESCRIPTOR_SHARE / 2)));
}

/** All or none. Raises `port-in-use`, `port-refused` and `usage`. */
export async function publishPorts(options: PublishOptions): Promise<Publisher> {
  const inbound = new Inbound(options);
  try {
    for (const flag of options.ports) await inbound.listen(flag);
  } catch (error) {
    await inbound.close();
    throw error;
  }
  return inbound;
}

class Inbound implements Publisher {
  readonly #options: PublishOptions;
  readonly #listening: { readonly server: Server; readonly port: PublishedPort }[] = [];
  readonly #peers = new Set<Socket>();
  readonly #flights = new Set<InboundFlight>();
  readonly #turns = new TurnShare(PROXY_LIMITS.turnBytes);
  readonly #bursts = new Bursts((reason, count) => this.#recordBurst(reason, count));
  #dial: Dial | null = null;
  /** Once closed, or once the log has failed. */
  #isSealed = false;

  constructor(options: PublishOptions) {
    this.#options = options;
  }

  get ports(): readonly PublishedPort[] {
    return this.#listening.map(({ port }) => port);
  }

  onDial(dial: Dial): void {
    this.#dial = dial;
  }

  isOwn(address: IpAddress, port: number): boolean {
    return this.ports.some((own) => own.hostPort === port && leadsTo(address, own.address));
  }

  async listen(flag: PortFlag): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      // Reading begins when the guest's side is there, so nothing is taken that nobody will get.
      const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
      const hostPort = await listenAt(server, flag);
      if (!REFUSED_PORTS.has(hostPort)) {
        const port: PublishedPort = { address: flag.address, hostPort, guestPort: flag.guestPort };
        server.on('connection', (peer) => this.#accept(peer, port));
        server.on('error', ignore);
        this.#listening.push({ server, port });
        return;
      }
      await closeServer(server);
      if (attempt >= FREE_PORT_ATTEMPTS) throw refused(flag, `port ${hostPort} belongs to resolvers`);
    }
  }

  async close(): Promise<void> {
    this.#end('shutting-down');
    await Promise.all(this.#listening.map(({ server }) => closeServer(server)));
  }

  #accept(peer: Socket, port: PublishedPort): void {
    peer.on('error', ignore);
    if (this.#isSealed || peer.destroyed) {
      resetSocket(peer);
      return;
    }
    if (this.#peers.size >= this.#options.connections) {
      const most = `more than ${this.#options.connections} connections at published ports at a time`;
      this.#refuse(peer, port, 'limit-connections', most);
      return;
    }
    this.#peers.add(peer);
    peer.once('close', () => this.#peers.delete(peer));
    this.#carry(peer, port).catch(() => resetSocket(peer));
  }

  async #carry(peer: Socket, port: PublishedPort): Promise<void> {
    const dial = this.#dial;
    if (dial === null) return this.#refuse(peer, port, 'guest-port-closed', 'the guest is not up yet');
    const dialled = await dial(port.guestPort);
    if (!dialled.ok) return this.#refuse(peer, port, 'guest-port-closed', dialled.detail);
    const guest = dialled.socket;
    const connection = this.#options.takeNumber();
    // Fail closed: what is not on record passes no byte.
    if (!this.#record(inboundEvent(peer, port, connection, { disposition: 'forwarded' }))) {
      resetSocket(guest);
      return resetSocket(peer);
    }
    const { idleMs = PROXY_LIMITS.idleTimeoutMs } = this.#options;
    const [host, from] = [peer.remoteAddress ?? '', peer.remotePort ?? 0];
    const flight = new InboundFlight(idleMs ?? Number.POSITIVE_INFINITY, (ended, end: InboundEnd) => {
      this.#flights.delete(ended);
      this.#record({ kind: 'close', connection, host, port: from, ...end });
    });
    this.#flights.add(flight);
    splice(guest, peer, flight, {
      leftover: EMPTY,
      greeting: EMPTY,
      hasGuestEnded: false,
      turns: this.#turns,
      halfOpenTimeoutMs: PROXY_BOUNDS.halfOpenMs,
    });
  }

  #refuse(peer: Socket, port: PublishedPort, reason: Reason, detail: string): void {
    if (!this.#isSealed && this.#bursts.begins(reason)) {
      const more = { disposition: 'refused', reason, detail } as const;
      this.#record(inboundEvent(peer, port, this.#options.takeNumber(), more));
    }
    resetSocket(peer);
  }

  #recordBurst(reason: Reason, count: number): void {
    const [first] = this.ports;
    if (first === undefined) return;
    const detail = `${count} more, refused since the last record`;
    const more = { disposition: 'refused', reason, detail, count } as const;
    this.#record(inboundEvent(null, first, this.#options.takeNumber(), more));
  }

  #record(entry: Parameters<AuditSink['record']>[0]): boolean {
    if (this.#isSealed) return false;
    try {
      this.#options.audit.record(entry);
      return true;
    } catch {
      // Fail closed: without a log nobody comes in, and who is in goes.
      this.#isSealed = true;
      this.#end('audit-unavailable');
      return false;
    }
  }

  #end(reason: Reason): void {
    for (const flight of [...this.#flights]) {
      flight.cut(reason);
      flight.close();
    }
    this.#bursts.end();
    this.#isSealed = true;
    for (const peer of this.#peers) resetSocket(peer);
  }
}

function inboundEvent(
  peer: Socket | null,
  { address, hostPort, guestPort }: PublishedPort,
  connection: number,
  more: Pick<InboundConnection, 'disposition' | 'reason' | 'detail' | 'count'>,
): InboundConnection {
  const from = peer === null ? '' : formatPlace(peer.remoteAddress ?? '', peer.remotePort ?? 0);
  return { kind: 'inbound', connection, peer: from, address, port: hostPort, guestPort, ...more };
}

/** Gives the port that it got. */
function listenAt(server: Server, flag: PortFlag): Promise<number> {
  const { address, hostPort } = flag;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(flag, error)));
    server.listen({ host: address, port: hostPort, exclusive: true }, () => {
      const bound = server.address();
      if (typeof bound === 'object' && bound !== null && bound.address === address)
        return resolve(bound.port);
      // Fail closed: a listener that is anywhere else than it was asked to be is not kept.
      server.close();
      reject(refused(flag, `it would listen elsewhere than on ${address}`));
    });
  });
}

function listenError(flag: PortFlag, error: NodeJS.ErrnoException): SandError {
  const place = formatPlace(flag.address, flag.hostPort);
  switch (error.code) {
    case 'EADDRINUSE':
      return new SandError(
        'port-in-use',
        `-p cannot listen on ${place}: something else does`,
        `write -p 0:${flag.guestPort} for any free port, or end what listens there`,
        { cause: error },
      );
    case 'EACCES':
      return refused(flag, `${place} is for the system alone`);
    default:
      return new SandError(
        'usage',
        `-p cannot listen on ${place}: ${error.code ?? error.message}`,
        'name one address of this host (`ip address` lists them), or leave it out for 127.0.0.1',
        { cause: error },
      );
  }
}

function refused({ guestPort }: PortFlag, why: string): SandError {
  return new SandError(
    'port-refused',
    `-p: ${why}`,
    `write a port of the host from 1024 on, or -p 0:${guestPort} for any free one`,
  );
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
