/**
 * The guest's DNS datagrams as a bound UDP socket shows them, which is what a resolver is attached to. Remembers whom
 * the guest asked, so that each answer comes from there.
 */
import type { Socket as DatagramSocket } from 'node:dgram';
import { EventEmitter } from 'node:events';
import { CABLE, formatIpv4 } from './addresses.ts';
import type { Query } from './stack.ts';

type Sent = (error: Error | null, bytes: number) => void;

export class QuerySocket extends EventEmitter {
  readonly #answer: (query: Query, message: Buffer) => void;
  readonly #max: number;
  /** By the guest's port and the question's id; one that is asked again is asked by the last. */
  readonly #open = new Map<string, Query>();
  #isClosed = false;

  constructor(max: number, answer: (query: Query, message: Buffer) => void) {
    super();
    this.#max = max;
    this.#answer = answer;
  }

  /** With what a resolver uses of one: `message`, `error` and `close`, `send` and `close`. */
  asDatagramSocket(): DatagramSocket {
    return this as unknown as DatagramSocket;
  }

  query(query: Query): void {
    if (this.#isClosed || query.message.length < 2 || query.port === 0) return;
    const key = keyOf(query.port, query.message);
    this.#open.delete(key);
    const [oldest] = this.#open.keys();
    // The oldest question gives way.
    if (oldest !== undefined && this.#open.size >= this.#max) this.#open.delete(oldest);
    this.#open.set(key, query);
    const { message, port } = query;
    this.emit('message', message, { address: GUEST, family: 'IPv4', port, size: message.length });
  }

  send(message: Buffer, port: number, _address: string, done?: Sent): void {
    const key = keyOf(port, message);
    const query = this.#open.get(key);
    this.#open.delete(key);
    if (query !== undefined && !this.#isClosed) this.#answer(query, message);
    done?.(null, message.length);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#open.clear();
    this.emit('close');
  }
}

const GUEST = formatIpv4(CABLE.guest);

function keyOf(port: number, message: Buffer): string {
  return `${port} ${message.readUInt16BE(0)}`;
}
