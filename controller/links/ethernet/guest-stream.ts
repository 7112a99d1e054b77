/**
 * A connection of the guest as a stream: what the proxy and the resolver take for a socket. Back-pressure goes both
 * ways: what is not read keeps the guest's window shut, what is not acknowledged keeps writers waiting.
 */
import { Duplex } from 'node:stream';
import type { IpAddress } from '../../../policies/model.ts';
import { formatIpv4 } from './addresses.ts';
import type { Application, Ending } from './tcp/application.ts';
import type { Connection } from './tcp/connection.ts';

/** What the stream itself holds; the rest of the windows is the connection's. */
const HIGH_WATER_BYTES = 64 * 1024;

const ERRORS = {
  reset: ['ECONNRESET', 'the guest reset the connection'],
  'timed-out': ['ETIMEDOUT', 'the guest does not answer any more'],
} as const;

export interface GuestStreamOptions {
  readonly connection: Connection;
  readonly nowMs: () => number;
  /** Unacknowledged, before writers wait. */
  readonly sendBytes: number;
  /** Called once, with how it began: true, or false where it came to nothing. */
  readonly began?: (isOpen: boolean) => void;
}

export class GuestStream extends Duplex implements Application {
  /** The guest's end. */
  readonly remoteAddress: IpAddress;
  readonly remotePort: number;
  readonly remoteFamily = 'IPv4';
  /** Where the guest connected to: the original destination. */
  readonly localAddress: IpAddress;
  readonly localPort: number;
  readonly localFamily = 'IPv4';
  bytesRead = 0;
  bytesWritten = 0;
  readonly #connection: Connection;
  readonly #options: GuestStreamOptions;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #wantsMore = true;
  #hasEnded = false;
  #isReset = false;
  #blocked: (() => void) | null = null;
  #idle: NodeJS.Timeout | null = null;
  #idleMs = 0;

  constructor(options: GuestStreamOptions) {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: HIGH_WATER_BYTES,
      writableHighWaterMark: HIGH_WATER_BYTES,
    });
    this.#options = options;
    this.#connection = options.connection;
    const { envelope, sourcePort, destinationPort } = options.connection.ends;
    this.localAddress = formatIpv4(envelope.source);
    this.localPort = sourcePort;
    this.remoteAddress = formatIpv4(envelope.destination);
    this.remotePort = destinationPort;
    options.connection.attach(this);
  }

  /** Ends the connection with a reset. */
  resetAndDestroy(): this {
    this.#isReset = true;
    return this.destroy();
  }

  /** Nothing is ever held back to fill a segment. */
  setNoDelay(): this {
    return this;
  }

  /** The guest is on this machine: it does not go away unnoticed. */
  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  /** As of a socket: tells of the time without a byte, and does nothing about it. */
  setTimeout(ms: number, listener?: () => void): this {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idleMs = ms;
    this.#idle = ms === 0 ? null : setTimeout(() => this.emit('timeout'), ms);
    if (listener !== undefined) {
      if (ms === 0) this.off('timeout', listener);
      else this.once('timeout', listener);
    }
    return this;
  }

  get timeout(): number {
    return this.#idleMs;
  }

  // What the connection says.

  get unread(): number {
    return this.#waitingBytes + this.readableLength;
  }

  opened(): void {
    this.#options.began?.(true);
  }

  received(bytes: Buffer): void {
    this.#idle?.refresh();
    this.bytesRead += bytes.length;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#pass();
  }

  ended(): void {
    this.#hasEnded = true;
    this.#pass();
  }

  drained(): void {
    this.#idle?.refresh();
    const blocked = this.#blocked;
    if (blocked === null || this.#connection.pendingBytes > this.#options.sendBytes / 2) return;
    this.#blocked = null;
    blocked();
  }

  finished(ending: Ending): void {
    if (ending === 'done') return;
    this.#options.began?.(false);
    const [code, message] = ERRORS[ending];
    this.destroy(Object.assign(new Error(message), { code }));
  }

  // What a stream is made of.

  override _read(): void {
    this.#wantsMore = true;
    this.#pass();
    this.#connection.read();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#idle?.refresh();
    this.bytesWritten += chunk.length;
    this.#connection.write(chunk);
    if (this.#connection.pendingBytes < this.#options.sendBytes) done();
    else this.#blocked = done;
  }

  override _final(done: () => void): void {
    this.#connection.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    if (this.#isReset) this.#connection.reset();
    else this.#connection.letGo(this.#options.nowMs());
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#blocked = null;
    done(error);
  }

  #pass(): void {
    while (this.#wantsMore) {
      const bytes = this.#waiting.shift();
      if (bytes === undefined) break;
      this.#waitingBytes -= bytes.length;
      this.#wantsMore = this.push(bytes);
    }
    if (this.#hasEnded && this.#waiting.length === 0 && this.#wantsMore) {
      this.#wantsMore = false;
      this.push(null);
    }
  }
}
