/**
 * One connection of a guest: its socket, what it has sent and not yet been judged, and the ways to end it so
 * that the guest learns why. Knows no protocol and no policy.
 */
import type { ProcessFact } from '../audit/event.ts';
import type { ProxyContext } from './context.ts';
import type { ProxyLimits } from './limits.ts';
import { PROXY_BOUNDS } from './limits.ts';
import { ByteReader, type GuestSocket } from './reader.ts';

/** One for all: an abort without a reason of its own makes an exception with a stack for each connection. */
const GONE = new Error('the guest has gone');

/** Owns the socket from construction on. `signal` is aborted once the socket is closed. */
export class GuestConnection {
  readonly socket: GuestSocket;
  readonly reader: ByteReader;
  /** Made when first asked for, and let go with what waited for it: an idle tunnel needs none. */
  #controller: AbortController | null = null;
  /** When it came, in the time of `performance.now`. */
  readonly sinceMs = performance.now();
  /** Which process opened it, for every decision on it; empty where that is not known. */
  readonly opener: { readonly process?: ProcessFact };
  /** The longest request head that its buffer holds. */
  readonly headBytes: number;
  #lingering: NodeJS.Timeout | null = null;
  readonly #closed: (guest: GuestConnection) => void;

  /** `closed` is called once, when the socket is. */
  constructor(
    socket: GuestSocket,
    headBytes: number,
    limits: ProxyLimits,
    closed: (guest: GuestConnection) => void,
    process: ProcessFact | null = null,
  ) {
    this.opener = process === null ? {} : { process };
    this.socket = socket;
    this.headBytes = headBytes;
    this.#closed = closed;
    // The guest may end its side and still wait for an answer.
    socket.allowHalfOpen = true;
    socket.setNoDelay?.(true);
    socket.on('error', ignore);
    socket.on('close', this.#onClose);
    const highWater = Math.max(headBytes, limits.clientHelloBytes) + 1024;
    this.reader = new ByteReader(socket, highWater, limits.turnBytes);
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.socket.destroyed) this.#controller.abort(GONE);
    return this.#controller.signal;
  }

  get isGone(): boolean {
    return this.socket.destroyed;
  }

  /** Gives the socket back with what was read and not judged; from here on nothing here touches its bytes. */
  release(): { readonly leftover: Buffer; readonly hasEnded: boolean } {
    this.#controller = null;
    return this.reader.release();
  }

  #onClose = (): void => {
    if (this.#lingering !== null) clearTimeout(this.#lingering);
    this.#controller?.abort(GONE);
    this.#closed(this);
  };

  /** Passes bytes on; false when the socket wants its `drain` first or is gone. */
  write(bytes: Buffer): boolean {
    return this.socket.writable && this.socket.write(bytes);
  }

  /**
   * Last words. The rest of what the guest sends is read and dropped for a moment: closing on unread bytes is
   * a reset, and a reset can overtake the words.
   */
  finish(bytes: Buffer | null): void {
    const { socket } = this;
    if (socket.destroyed || this.#lingering !== null) return;
    this.reader.release();
    let dropped = 0;
    socket.on('data', (chunk: Buffer) => {
      dropped += chunk.length;
      if (dropped > PROXY_BOUNDS.lingerBytes) socket.destroy();
    });
    this.#lingering = setTimeout(() => socket.destroy(), PROXY_BOUNDS.lingerMs);
    if (socket.writable) {
      if (bytes === null) socket.end();
      else socket.end(bytes);
    }
    socket.resume();
  }

  reset(): void {
    resetSocket(this.socket);
  }

  /** Ends at once, for the end of the guest. */
  destroy(): void {
    this.reader.release();
    this.socket.destroy();
  }
}

/** A look at the ends of a connection that has just come: later its client may have gone. */
export function openerOf({ attribute }: ProxyContext, socket: GuestSocket): ProcessFact | null {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (attribute === undefined || remotePort === undefined || localPort === undefined) return null;
  if (remoteAddress === undefined || localAddress === undefined) return null;
  const destination = { address: withoutMapping(localAddress), port: localPort };
  return attribute({
    transport: 'tcp',
    address: withoutMapping(remoteAddress),
    port: remotePort,
    destination,
  });
}

/** As a listener for both families sees IPv4. */
function withoutMapping(address: string): string {
  return address.replace(/^::ffff:(?=[\d.]+$)/, '');
}

/** For errors of sockets, whose `close` says all that anybody needs. Closes over nothing, as a place of many listeners must. */
export function ignore(): void {}

/** Ends a connection as a failure: with a reset where the socket can, else by closing it. Its `close` comes in any case. */
export function resetSocket(socket: GuestSocket): void {
  if (socket.destroyed) return;
  try {
    if (socket.resetAndDestroy === undefined || isShuttingDown(socket)) socket.destroy();
    else socket.resetAndDestroy();
  } catch {
    // A Unix socket knows no reset.
    socket.destroy();
  }
}

/**
 * All is written, and the system is about to end this side: a reset in that moment fails (uv_tcp_close_reset, EINVAL), and Node
 * would keep the connection open for ever without a `close`. The peer has everything, and a regular end, anyway.
 */
function isShuttingDown({ writableEnded, writableFinished, writableLength }: GuestSocket): boolean {
  return writableEnded && !writableFinished && writableLength === 0;
}
