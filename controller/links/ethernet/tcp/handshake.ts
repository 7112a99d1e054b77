/**
 * How a connection begins: its SYN or the answer to the guest's, again until somebody answers, and what both sides say
 * there for good. What comes after is the connection's.
 */
import type { FrameBatch } from '../frame-batch.ts';
import type { EthernetLimits } from '../limits.ts';
import { FLAG, type Segment, type SegmentEnds, writeSegment } from './segment.ts';
import { add, type Sequence } from './sequence.ts';

/** RFC 9293 section 3.7.1: of a peer that names none. */
const DEFAULT_MSS = 536;
/** Below it headers would be all that is sent. */
const MIN_MSS = 64;
const HEADERS_BYTES = 40;

export interface HandshakeHost {
  readonly limits: EthernetLimits;
  readonly batch: FrameBatch;
}

export class Handshake {
  readonly #host: HandshakeHost;
  readonly #ends: SegmentEnds;
  readonly #first: Sequence;
  #peer: { readonly first: Sequence; readonly mss: number; readonly shift: number | null } | null = null;
  #attempts = 0;
  #sentAtMs = 0;
  #deadlineMs = Number.POSITIVE_INFINITY;

  constructor(host: HandshakeHost, ends: SegmentEnds, first: Sequence) {
    this.#host = host;
    this.#ends = ends;
    this.#first = first;
  }

  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** Of this side's first byte. */
  get next(): Sequence {
    return add(this.#first, 1);
  }

  /** Of the guest's first byte; 0 before its SYN came. */
  get peerFirst(): Sequence {
    return this.#peer?.first ?? 0;
  }

  /** What a segment to the guest may hold. */
  get peerMss(): number {
    return this.#peer?.mss ?? DEFAULT_MSS;
  }

  /** What a segment of the guest's may hold. */
  get mostBytes(): number {
    return this.#host.limits.mtu - HEADERS_BYTES;
  }

  /** By how many bits this side's window is scaled; null: the guest scales none, so neither side does. */
  get shift(): number | null {
    if (this.#peer?.shift === null) return null;
    return Math.max(0, Math.ceil(Math.log2((this.#host.limits.receiveBytes + 1) / 0x1_0000)));
  }

  /** The guest's SYN. */
  read(syn: Segment): void {
    const mss = Math.min(Math.max(syn.mss ?? DEFAULT_MSS, MIN_MSS), this.mostBytes);
    this.#peer = { first: add(syn.seq, 1), mss, shift: syn.windowScale };
  }

  /** The window of any segment of the guest's but its SYN. */
  windowOf({ window }: Segment): number {
    return window * 2 ** (this.#peer?.shift ?? 0);
  }

  send(nowMs: number): void {
    const { limits, batch } = this.#host;
    const head = {
      seq: this.#first,
      ack: this.peerFirst,
      flags: this.#peer === null ? FLAG.syn : FLAG.syn | FLAG.ack,
      window: Math.min(limits.receiveBytes, 0xffff),
      mss: this.mostBytes,
      windowScale: this.shift,
    };
    writeSegment(batch, this.#ends, head, null, 0, 0);
    this.#sentAtMs = nowMs;
    this.#deadlineMs = nowMs + limits.firstRtoMs * 2 ** this.#attempts;
  }

  /** To be called at the deadline. */
  timeout(nowMs: number): 'waiting' | 'gave-up' {
    this.#attempts += 1;
    if (this.#attempts > this.#host.limits.handshakeRetransmissions) return 'gave-up';
    this.send(nowMs);
    return 'waiting';
  }

  /** Null: it was sent more than once, and nobody knows which one was answered (Karn). */
  roundTripMs(nowMs: number): number | null {
    return this.#attempts === 0 ? nowMs - this.#sentAtMs : null;
  }

  /** Nothing of it is waited for any more. */
  end(): void {
    this.#deadlineMs = Number.POSITIVE_INFINITY;
  }
}
