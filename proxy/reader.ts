/**
 * The guest's bytes before a splice: a bounded buffer over a socket that is read on demand, a turn's budget at
 * a time. Understands no protocol.
 */
import type { Duplex } from 'node:stream';

/** What a link hands over: a TCP or Unix socket, or a stream that ends a guest's TCP in this process. */
export interface GuestSocket extends Duplex {
  /** Both ends, where it has any. */
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  resetAndDestroy?(): unknown;
  setNoDelay?(noDelay?: boolean): unknown;
}

export type Wait = 'bytes' | 'end' | 'timeout';

/** Owns the socket's reading until `release`. The buffer holds `highWater` bytes and one read more. */
export class ByteReader {
  readonly #socket: GuestSocket;
  readonly #highWater: number;
  readonly #turnBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  #isOwned = false;
  #turn = 0;
  #isResting = false;
  #isReleased = false;
  #hasEnded = false;
  #wake: (() => void) | null = null;
  #onEnd: (() => void) | null = null;

  constructor(socket: GuestSocket, highWater: number, turnBytes: number) {
    this.#socket = socket;
    this.#highWater = highWater;
    this.#turnBytes = turnBytes;
    socket.on('data', this.#accept);
    socket.on('end', this.#finish);
    socket.on('close', this.#finish);
  }

  /** What is buffered. The view stays valid: bytes are never overwritten. */
  get bytes(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** The client sends no more, because it said so or because it is gone. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  consume(count: number): void {
    this.#start = Math.min(this.#end, this.#start + count);
    this.#flow();
  }

  /** Waits until more than `have` bytes are buffered. One wait at a time; a full buffer counts as an end. */
  async more(have: number, timeoutMs: number | null): Promise<Wait> {
    let timer: NodeJS.Timeout | null = null;
    let isLate = false;
    try {
      while (this.#end - this.#start <= have) {
        if (this.#hasEnded || this.#isReleased || have >= this.#highWater) return 'end';
        if (isLate) return 'timeout';
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          timer ??=
            timeoutMs === null
              ? null
              : setTimeout(() => {
                  isLate = true;
                  this.#wakeUp();
                }, timeoutMs);
        });
      }
      return 'bytes';
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  }

  /** Called once when the client ends its side while nobody waits for bytes; null to forget it. */
  onEnd(listener: (() => void) | null): void {
    this.#onEnd = listener;
    if (listener !== null && this.#hasEnded) listener();
  }

  /** Gives the socket back, paused, with what was buffered. */
  release(): { readonly leftover: Buffer; readonly hasEnded: boolean } {
    this.#isReleased = true;
    this.#socket.pause();
    this.#socket.off('data', this.#accept);
    this.#socket.off('end', this.#finish);
    this.#socket.off('close', this.#finish);
    const leftover = this.bytes;
    this.#buffer = Buffer.alloc(0);
    this.#start = 0;
    this.#end = 0;
    this.#wakeUp();
    return { leftover, hasEnded: this.#hasEnded };
  }

  #accept = (chunk: Buffer): void => {
    this.#append(chunk);
    this.#turn += chunk.length;
    if (this.#turn >= this.#turnBytes && !this.#isResting) {
      this.#isResting = true;
      setImmediate(() => {
        this.#isResting = false;
        this.#turn = 0;
        this.#flow();
      });
    }
    this.#flow();
    this.#wakeUp();
  };

  #append(chunk: Buffer): void {
    const held = this.#end - this.#start;
    if (held === 0) {
      this.#buffer = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#isOwned = false;
      return;
    }
    if (!this.#isOwned || this.#end + chunk.length > this.#buffer.length) {
      const grown = Buffer.alloc(2 ** Math.ceil(Math.log2(held + chunk.length + 1)));
      this.#buffer.copy(grown, 0, this.#start, this.#end);
      this.#buffer = grown;
      this.#start = 0;
      this.#end = held;
      this.#isOwned = true;
    }
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }

  #finish = (): void => {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#wakeUp();
    this.#onEnd?.();
  };

  #flow(): void {
    if (this.#isReleased || this.#hasEnded) return;
    const isFull = this.#end - this.#start >= this.#highWater;
    if (isFull || this.#isResting) {
      if (!this.#socket.isPaused()) this.#socket.pause();
    } else if (this.#socket.isPaused()) {
      this.#socket.resume();
    }
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
