/**
 * Passes bytes between a guest and an upstream, both ways, until both have ended: with back-pressure, a budget
 * for each turn of the event loop, half-close and counting. Looks into no byte.
 */
import type { Socket } from 'node:net';
import type { Reason } from '../policies/reasons.ts';
import type { Flight } from './flight.ts';
import { ignore, resetSocket } from './guest.ts';
import type { GuestSocket } from './reader.ts';
import type { TurnShare } from './turn-share.ts';

export interface SpliceOptions {
  /** Bytes of the guest that were read before: they go first. */
  readonly leftover: Buffer;
  readonly hasGuestEnded: boolean;
  /** Bytes of the upstream that were read before. */
  readonly greeting: Buffer;
  readonly turns: TurnShare;
  /** Without a byte, once one side has ended: the other may be gone, and a silent one would hold the place. */
  readonly halfOpenTimeoutMs: number;
}

/** What the bytes are told to, and ended by. */
export type SplicedFlight = Pick<Flight, 'onCut' | 'watch' | 'count' | 'close'>;

/**
 * Owns both sockets from here on, and closes the flight's books once both are closed. Ended by `flight.cut` too.
 * Nobody waits for it: ten thousand idle tunnels would be as many chains of suspended callers.
 */
export function splice(
  guest: GuestSocket,
  upstream: Socket,
  flight: SplicedFlight,
  options: SpliceOptions,
): void {
  new Splice(guest, upstream, flight, options).start(options);
}

class Splice {
  readonly flight: SplicedFlight;
  readonly turns: TurnShare;
  readonly #out: Direction;
  readonly #in: Direction;
  readonly #halfOpenTimeoutMs: number;
  #halfOpen: NodeJS.Timeout | null = null;
  #ending: Reason | null = null;
  #open = 2;

  constructor(guest: GuestSocket, upstream: Socket, flight: SplicedFlight, options: SpliceOptions) {
    this.flight = flight;
    this.turns = options.turns;
    this.#halfOpenTimeoutMs = options.halfOpenTimeoutMs;
    this.#out = new Direction(this, guest, upstream, true);
    this.#in = new Direction(this, upstream, guest, false);
  }

  start({ leftover, greeting, hasGuestEnded }: SpliceOptions): void {
    const guest = this.#out.from;
    const upstream = this.#in.from;
    guest.on('error', ignore);
    upstream.on('error', this.#onUpstreamError);
    this.#out.watchClose();
    this.#in.watchClose();
    this.flight.onCut(this.#onCut);
    this.flight.watch();
    if (!this.#out.sendFirst(leftover) || !this.#in.sendFirst(greeting)) return;
    this.#out.start();
    this.#in.start();
    if (hasGuestEnded) this.#out.onEnd();
  }

  onActivity(): void {
    this.#halfOpen?.refresh();
  }

  onSideEnded(): void {
    if (this.#open > 0) this.#halfOpen ??= setTimeout(expire, this.#halfOpenTimeoutMs, this);
  }

  onSideClosed(): void {
    this.#open -= 1;
    if (this.#open > 0) return;
    if (this.#halfOpen !== null) clearTimeout(this.#halfOpen);
    this.flight.close(this.#ending);
  }

  abort(reason: Reason | null): void {
    this.#ending ??= reason;
    // A peer that is cut off must see a failure, never the regular end of its data.
    resetSocket(this.#out.from);
    resetSocket(this.#in.from);
  }

  #onCut = (): void => this.abort(null);

  #onUpstreamError = (error: NodeJS.ErrnoException): void => {
    this.#ending ??= error.code === 'ECONNRESET' ? 'upstream-refused' : 'upstream-failed';
  };
}

function expire(splice: Splice): void {
  splice.abort('limit-time');
}

/** One way. What was read is always written; reading stops at a full pipe and at the end of a turn's budget. */
class Direction {
  readonly from: GuestSocket;
  readonly #to: GuestSocket;
  readonly #splice: Splice;
  readonly #isOut: boolean;
  #turn = -1;
  #left = 0;
  #isBlocked = false;
  #isResting = false;

  constructor(splice: Splice, from: GuestSocket, to: GuestSocket, isOut: boolean) {
    this.#splice = splice;
    this.from = from;
    this.#to = to;
    this.#isOut = isOut;
  }

  /** False: a limit forbids them, and the flight has been cut. */
  sendFirst(bytes: Buffer): boolean {
    if (bytes.length === 0) return true;
    if (!this.#admit(bytes.length)) return false;
    this.#to.write(bytes);
    return true;
  }

  start(): void {
    this.#isBlocked = this.#to.writableNeedDrain;
    this.from.on('data', this.#onData);
    this.from.on('end', this.onEnd);
    this.#to.on('drain', this.#onDrain);
    this.#flow();
  }

  watchClose(): void {
    if (this.from.closed) this.#onClose();
    else this.from.on('close', this.#onClose);
  }

  onEnd = (): void => {
    this.#splice.onSideEnded();
    this.#to.end();
  };

  /** When `from` broke off before both its ends, the other side learns it by a reset. */
  #onClose = (): void => {
    const { from } = this;
    if (!from.readableEnded || !from.writableFinished) resetSocket(this.#to);
    this.#splice.onSideClosed();
  };

  #onData = (chunk: Buffer): void => {
    if (!this.#to.writable || !this.#admit(chunk.length)) return;
    this.#splice.onActivity();
    if (!this.#to.write(chunk)) this.#isBlocked = true;
    const { turns } = this.#splice;
    if (this.#turn !== turns.turn) {
      this.#turn = turns.turn;
      this.#left = turns.enter();
    }
    this.#left -= chunk.length;
    if (this.#left <= 0 && !this.#isResting) {
      this.#isResting = true;
      setImmediate(endRest, this);
    }
    if (this.#isBlocked || this.#isResting) this.from.pause();
  };

  #onDrain = (): void => {
    this.#isBlocked = false;
    this.#flow();
  };

  endRest(): void {
    this.#isResting = false;
    this.#flow();
  }

  #flow(): void {
    if (!this.#isBlocked && !this.#isResting) this.from.resume();
    else this.from.pause();
  }

  #admit(bytes: number): boolean {
    return this.#isOut ? this.#splice.flight.count(bytes, 0) : this.#splice.flight.count(0, bytes);
  }
}

function endRest(direction: Direction): void {
  direction.endRest();
}
