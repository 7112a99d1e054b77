/**
 * The receiving half of a connection: which bytes come next, what is held until a gap is filled, the window that is
 * told, and when an acknowledgement is due. Who reads the bytes is the connection's.
 */
import { type HeldBudget, Reassembly } from './reassembly.ts';
import { add, distance, type Sequence } from './sequence.ts';

export interface ReceiverLimits {
  readonly receiveBytes: number;
  readonly heldSegments: number;
  readonly delayedAckMs: number;
  readonly quickAcks: number;
}

/** Where bytes lie that came in order: in what they came in, which holds until it is used again. */
export interface Piece {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

export type AckNeed = 'none' | 'later' | 'now';

const SEGMENTS_PER_ACK = 2;

export class Receiver {
  readonly #limits: ReceiverLimits;
  readonly #mss: number;
  readonly #shift: number;
  readonly #held: Reassembly;
  #next: Sequence;
  /** Behind the last byte that the guest may send; never taken back. */
  #edge: Sequence;
  #finAt: Sequence | null = null;
  #hasEnded = false;
  #pieces: Piece[] = [];
  #arrived = 0;
  /** Anything at all: before that, the window of the handshake will do. */
  #hasReceived = false;
  #unacknowledged = 0;
  #quick: number;
  #need: AckNeed = 'none';
  #deadlineMs = Number.POSITIVE_INFINITY;

  constructor(first: Sequence, mss: number, shift: number, limits: ReceiverLimits, budget: HeldBudget) {
    this.#limits = limits;
    this.#mss = mss;
    this.#shift = shift;
    this.#held = new Reassembly(limits.heldSegments, budget);
    this.#next = first;
    // A SYN's window is not scaled.
    this.#edge = add(first, Math.min(limits.receiveBytes, 0xffff));
    this.#quick = limits.quickAcks;
  }

  get next(): Sequence {
    return this.#next;
  }

  /** The guest has said everything, and all of it has come. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** When a delayed acknowledgement is due. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  get need(): AckNeed {
    return this.#need;
  }

  /** RFC 9293 section 3.4: whether any of it lies in the window, or it asks for nothing at its very edge. */
  accepts(seq: Sequence, length: number): boolean {
    const ahead = distance(this.#next, seq);
    const window = distance(this.#next, this.#edge);
    if (length === 0) return ahead >= 0 && ahead <= Math.max(window, 0) && (window > 0 || ahead === 0);
    return ahead < window && ahead + length > 0;
  }

  /** Something of an acceptable segment; what lies outside the window is cut off. */
  receive(seq: Sequence, bytes: Buffer, start: number, end: number, fin: boolean): void {
    const room = distance(seq, this.#edge);
    const isWhole = end - start <= room;
    const stop = isWhole ? end : start + Math.max(room, 0);
    if (fin && isWhole) this.#finAt ??= add(seq, end - start);
    const behind = Math.max(0, distance(seq, this.#next));
    if (distance(this.#next, seq) > 0) {
      if (stop > start) this.#held.hold(seq, bytes, start, stop);
      // RFC 5681 section 4.2: at once, so that the guest learns what is missing.
      this.#need = 'now';
      return;
    }
    if (start + behind < stop) this.#deliver(bytes, start + behind, stop);
    const hadGap = !this.#held.isEmpty;
    if (hadGap) this.#fillGap();
    if (this.#finAt === this.#next && !this.#hasEnded) {
      this.#next = add(this.#next, 1);
      this.#hasEnded = true;
      this.#held.clear();
      this.#need = 'now';
    } else if (hadGap || behind > 0 || stop < end) this.#need = 'now';
    else if (stop > start) this.#came();
  }

  #deliver(bytes: Buffer, start: number, end: number): void {
    this.#pieces.push({ bytes, start, end });
    this.#arrived += end - start;
    this.#hasReceived = true;
    this.#next = add(this.#next, end - start);
  }

  #fillGap(): void {
    for (;;) {
      const bytes = this.#held.take(this.#next);
      if (bytes === null) return;
      this.#deliver(bytes, 0, bytes.length);
    }
  }

  /** One more in order. */
  #came(): void {
    this.#unacknowledged += 1;
    if (this.#quick > 0) this.#quick -= 1;
    if (this.#quick > 0 || this.#unacknowledged >= SEGMENTS_PER_ACK) this.#need = 'now';
    else if (this.#need === 'none') this.#need = 'later';
  }

  askAck(): void {
    this.#need = 'now';
    this.#deadlineMs = Number.POSITIVE_INFINITY;
  }

  /** Starts the clock of what may wait. */
  watch(nowMs: number): void {
    if (this.#need !== 'later') this.#deadlineMs = Number.POSITIVE_INFINITY;
    else if (this.#deadlineMs === Number.POSITIVE_INFINITY) {
      this.#deadlineMs = nowMs + this.#limits.delayedAckMs;
    }
  }

  /** An acknowledgement goes out, with whatever segment. */
  acknowledged(): void {
    this.#need = 'none';
    this.#unacknowledged = 0;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
  }

  /** What arrived in order since the last call. */
  take(): readonly Piece[] {
    const pieces = this.#pieces;
    if (pieces.length > 0) {
      this.#pieces = [];
      this.#arrived = 0;
    }
    return pieces;
  }

  get hasArrived(): boolean {
    return this.#arrived > 0;
  }

  /**
   * The window as the header holds it, with so many bytes unread of a buffer of so many. It is moved by whole segments
   * only (RFC 1122 section 4.2.3.3), and never back.
   */
  openWindow(unread: number, limit: number): number {
    const wanted = add(this.#next, Math.max(0, limit - unread - this.#arrived));
    const gain = distance(this.#edge, wanted);
    if (gain >= Math.min(this.#mss, limit / 2)) this.#edge = wanted;
    return Math.min(Math.max(0, distance(this.#next, this.#edge)) >>> this.#shift, 0xffff);
  }

  /** Whether the guest should be told of the room that reading has made, without having asked. */
  wantsUpdate(unread: number, limit: number): boolean {
    if (!this.#hasReceived || this.#hasEnded) return false;
    const open = Math.max(0, distance(this.#next, this.#edge));
    const wanted = Math.max(0, limit - unread - this.#arrived);
    const gain = wanted - open;
    return gain >= limit / 4 || (open < 2 * this.#mss && gain >= 2 * this.#mss);
  }

  /** What a gap holds back will not come any more; what came in order is still the application's. */
  close(): void {
    this.#held.clear();
  }
}
