/**
 * The ethernet link: joins the stack to its cable, to the clock and to whoever serves the guest. Decides nothing about
 * what arrives.
 */
import { randomBytes } from 'node:crypto';
import type { Socket as DatagramSocket } from 'node:dgram';
import type { IpAddress } from '../../../policies/model.ts';
import type { RefusedDestination } from '../../backends/backend.ts';
import { SandError } from '../../errors.ts';
import { CABLE, formatIpv4 } from './addresses.ts';
import { serveAutoConfig } from './auto-config.ts';
import type { Cable } from './cable.ts';
import type { Slab } from './frame-batch.ts';
import { GuestStream } from './guest-stream.ts';
import type { Drop } from './ipv4.ts';
import { ETHERNET_LIMITS, type EthernetLimits } from './limits.ts';
import { QuerySocket } from './query-socket.ts';
import { EthernetStack } from './stack.ts';
import type { Connection } from './tcp/connection.ts';

/** What arrives from the guest. */
export interface EthernetConsumer {
  /** A TCP connection, to the address and port that it was opened to; DNS and the proxy's port among them. */
  stream(socket: GuestStream, destination: { readonly address: IpAddress; readonly port: number }): void;
  /** Where the guest's DNS datagrams come; called once, before anything arrives. */
  datagram(socket: DatagramSocket): void;
  /** The cable is gone: the guest has no way out any more and must be ended. Not after `close`. */
  lost(error: SandError): void;
}

/** A connection to a server of the guest's, or why there is none. */
export type DialledGuest =
  | { readonly ok: true; readonly socket: GuestStream }
  | { readonly ok: false; readonly detail: string };

export interface EthernetLink {
  /** More ports, of any address. */
  plant(ports: readonly number[]): void;
  /** What was refused because nothing is planted there; counters since the start. */
  tried(): readonly RefusedDestination[];
  /** Frames that went nowhere, by why. */
  drops(): ReadonlyMap<Drop, number>;
  connections(): number;
  /** Opens the way in to these ports of the guest, and to no others. */
  openWayIn(ports: readonly number[]): (port: number) => Promise<DialledGuest>;
  /** Resets every connection and closes the cable. Idempotent. */
  close(): void;
}

export interface EthernetLinkOptions {
  /** Owned from here on. */
  readonly cable: Cable;
  readonly consumer: EthernetConsumer;
  /** What connections are taken for, besides DNS and the proxy's own port. */
  readonly ports: readonly number[];
  readonly limits?: Partial<EthernetLimits>;
  /** Milliseconds that never go back. */
  readonly nowMs?: () => number;
}

export function createEthernetLink(options: EthernetLinkOptions): EthernetLink {
  const link = new Link(options);
  link.start();
  return link;
}

class Link implements EthernetLink {
  readonly #cable: Cable;
  readonly #consumer: EthernetConsumer;
  readonly #limits: EthernetLimits;
  readonly #nowMs: () => number;
  readonly #stack: EthernetStack;
  readonly #queries: QuerySocket;
  /** Dialled, and not answered yet. */
  readonly #dialled = new Set<(answer: DialledGuest) => void>();
  #now = 0;
  /** Within a batch of frames: it is settled at its end. */
  #isReceiving = false;
  #isScheduled = false;
  #isBlocked = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | null = null;
  #timerMs = Number.POSITIVE_INFINITY;

  constructor({ cable, consumer, ports, limits, nowMs = () => performance.now() }: EthernetLinkOptions) {
    this.#cable = cable;
    this.#consumer = consumer;
    this.#limits = { ...ETHERNET_LIMITS, ...limits };
    this.#nowMs = nowMs;
    this.#queries = new QuerySocket(this.#limits.queries, (query, message) => {
      this.#stack.answer(query, message);
      this.#schedule();
    });
    this.#stack = new EthernetStack({
      limits: this.#limits,
      secret: randomBytes(16).toString('hex'),
      opened: (connection) => this.#opened(connection),
      query: (query) => this.#queries.query(query),
      touched: () => this.#schedule(),
    });
    this.#stack.plant(ports);
  }

  start(): void {
    this.#consumer.datagram(this.#queries.asDatagramSocket());
    this.#cable.connect({
      frame: (bytes, view, start, end) => {
        if (!this.#isReceiving) {
          this.#isReceiving = true;
          this.#now = this.#nowMs();
        }
        if (!this.#isClosed) this.#stack.receive(bytes, view, start, end, this.#now);
      },
      settled: () => {
        this.#isReceiving = false;
        this.#settle();
      },
      drained: () => {
        this.#isBlocked = false;
        this.#settle();
      },
      lost: (detail) => {
        const error = new SandError(
          'link-failed',
          `the guest's network cable is gone: ${detail}`,
          'start the guest again; `sand doctor` tells what its backend needs',
        );
        this.close();
        this.#consumer.lost(error);
      },
    });
  }

  plant(ports: readonly number[]): void {
    this.#stack.plant(ports);
  }

  tried(): readonly RefusedDestination[] {
    return this.#stack.tried();
  }

  drops(): ReadonlyMap<Drop, number> {
    return this.#stack.drops();
  }

  connections(): number {
    return this.#stack.connections;
  }

  openWayIn(ports: readonly number[]): (port: number) => Promise<DialledGuest> {
    const published = new Set(ports);
    return async (port) => {
      // Fail closed: only what was published.
      if (!published.has(port)) return { ok: false, detail: 'it is not published' };
      if (this.#isClosed) return { ok: false, detail: 'the guest has ended' };
      const connection = this.#stack.connect(port, this.#nowMs());
      if (connection === null) return { ok: false, detail: 'the guest has no network yet' };
      this.#schedule();
      return this.#dial(connection);
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#stack.clear();
    this.#cable.write(this.#stack.batch.take(), () => {});
    this.#cable.close();
    this.#queries.close();
    for (const answer of [...this.#dialled]) answer({ ok: false, detail: 'the guest has ended' });
    for (const stream of [...this.#streams]) stream.destroy();
  }

  readonly #streams = new Set<GuestStream>();

  #dial(connection: Connection): Promise<DialledGuest> {
    const { promise, resolve } = Promise.withResolvers<DialledGuest>();
    const answer = (dialled: DialledGuest) => {
      this.#dialled.delete(answer);
      resolve(dialled);
    };
    this.#dialled.add(answer);
    const stream = this.#stream(connection, (isOpen) =>
      answer(isOpen ? { ok: true, socket: stream } : { ok: false, detail: 'it refused the connection' }),
    );
    stream.on('error', () => {});
    return promise;
  }

  #opened(connection: Connection): void {
    const stream = this.#stream(connection);
    const { localAddress: address, localPort: port } = stream;
    const isOwn = address === formatIpv4(CABLE.gateway);
    if (isOwn && port === CABLE.autoConfigPort) {
      serveAutoConfig(stream);
      return;
    }
    this.#consumer.stream(stream, { address, port });
  }

  #stream(connection: Connection, began?: (isOpen: boolean) => void): GuestStream {
    const { sendBytes } = this.#limits;
    const nowMs = this.#nowMs;
    const stream = new GuestStream({
      connection,
      nowMs,
      sendBytes,
      ...(began === undefined ? {} : { began }),
    });
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }

  /** Once all that is at hand has been said: what several sources bring goes out together. */
  #schedule(): void {
    if (this.#isReceiving || this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#settle();
    });
  }

  #settle(): void {
    if (this.#isClosed) return;
    const now = this.#nowMs();
    this.#stack.advance(now);
    this.#isReceiving = true;
    const hasMore = this.#stack.settle(now, !this.#isBlocked);
    this.#isReceiving = false;
    if (!this.#isBlocked) {
      this.#isBlocked = !this.#cable.write(this.#stack.batch.take(), this.#giveBack);
      if (hasMore && !this.#isBlocked) this.#schedule();
    }
    this.#watch(now);
  }

  readonly #giveBack = (slab: Slab): void => this.#stack.batch.giveBack(slab);

  /** One timer for all; one that comes too early finds nothing due. */
  #watch(now: number): void {
    const at = this.#stack.deadlineMs;
    if (at >= this.#timerMs || this.#isClosed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerMs = at;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#timerMs = Number.POSITIVE_INFINITY;
        this.#settle();
      },
      Math.max(1, Math.ceil(at - now)),
    );
    // The cable, not a clock, keeps this process.
    this.#timer.unref();
  }
}
