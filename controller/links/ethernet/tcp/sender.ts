/**
 * The sending half of a connection: what may go out now, what is sent again, when to look again, and when to give up.
 * Sequence numbers in, segments out by a function that it is given; handshake and reset are the connection's.
 */
import { Congestion, type CongestionLimits } from './congestion.ts';
import { RetransmissionTimer, type RtoLimits } from './retransmission-timer.ts';
import { SendQueue } from './send-queue.ts';
import { add, distance, type Sequence } from './sequence.ts';

export interface SenderLimits extends RtoLimits, CongestionLimits {
  readonly retransmissions: number;
}

/** Sends `length` bytes of the queue from `offset` on. False: there is no room now. */
export type Emit = (seq: Sequence, offset: number, length: number, isLast: boolean, fin: boolean) => boolean;

export class Sender {
  readonly queue = new SendQueue();
  readonly #limits: SenderLimits;
  readonly #mss: number;
  readonly #rto: RetransmissionTimer;
  readonly #congestion: Congestion;
  /** The first byte without an acknowledgement. */
  #una: Sequence;
  /** The next to send; after a timeout behind `#max`. */
  #next: Sequence;
  /** Behind the last one ever sent. */
  #max: Sequence;
  /** What had been sent when the last loss was noticed; null once that is acknowledged. */
  #recover: Sequence | null = null;
  #peerWindow: number;
  #widestWindow: number;
  #windowSeq: Sequence;
  #windowAck: Sequence;
  #isEnding = false;
  #hasEnded = false;
  #mustRepeat = false;
  /** The one segment whose round trip is being measured. */
  #timed: { readonly until: Sequence; readonly atMs: number } | null = null;
  #attempts = 0;
  #deadlineMs = Number.POSITIVE_INFINITY;

  /** `windowSeq`: the peer's sequence number that `window` came with. */
  constructor(first: Sequence, mss: number, window: number, windowSeq: Sequence, limits: SenderLimits) {
    this.#limits = limits;
    this.#mss = mss;
    this.#rto = new RetransmissionTimer(limits);
    this.#congestion = new Congestion(mss, limits);
    this.#una = first;
    this.#next = first;
    this.#max = first;
    this.#peerWindow = window;
    this.#widestWindow = window;
    this.#windowSeq = windowSeq;
    this.#windowAck = first;
  }

  /** When `timeout` is to be called. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** What everything but data is sent with. */
  get next(): Sequence {
    return this.#max;
  }

  get unacknowledged(): Sequence {
    return this.#una;
  }

  /** The peer has everything, and knows that it is everything. */
  get isDone(): boolean {
    return this.#hasEnded;
  }

  end(): void {
    this.#isEnding = true;
  }

  /** The handshake's own round trip. */
  measured(roundTripMs: number): void {
    this.#rto.sample(roundTripMs);
  }

  /** -1: of bytes that were never sent. 0: nothing new. Else how many bytes and ends are acknowledged now. */
  judge(ack: Sequence): number {
    const acked = distance(this.#una, ack);
    if (distance(this.#max, ack) > 0 || acked < -this.#widestWindow) return -1;
    return Math.max(acked, 0);
  }

  /** RFC 9293 section 3.10.7.4: only by what is not older than what was used last. True: it says something new. */
  updateWindow(seq: Sequence, ack: Sequence, window: number): boolean {
    const isNewer = distance(this.#windowSeq, seq);
    if (isNewer < 0 || (isNewer === 0 && distance(this.#windowAck, ack) < 0)) return false;
    const isChanged = window !== this.#peerWindow;
    this.#windowSeq = seq;
    this.#windowAck = ack;
    this.#peerWindow = window;
    if (window > this.#widestWindow) this.#widestWindow = window;
    if (isChanged) this.#attempts = 0;
    if (isChanged && this.#una === this.#next) {
      // What asked for a window waits for an acknowledgement from here on.
      this.#rto.heard();
      this.#deadlineMs = Number.POSITIVE_INFINITY;
    }
    return isChanged;
  }

  /** A positive number of `judge`. */
  acknowledge(ack: Sequence, acked: number, nowMs: number): void {
    const ofQueue = Math.min(acked, this.queue.length);
    this.queue.drop(ofQueue);
    if (acked > ofQueue) this.#hasEnded = true;
    this.#una = ack;
    if (distance(this.#next, ack) > 0) this.#next = ack;
    this.#attempts = 0;
    if (this.#timed !== null && distance(this.#timed.until, ack) >= 0) {
      this.#rto.sample(nowMs - this.#timed.atMs);
      this.#timed = null;
    }
    this.#rto.heard();
    this.#recoverTo(ack, acked);
    this.#deadlineMs = this.#una === this.#max ? Number.POSITIVE_INFINITY : nowMs + this.#rto.rtoMs;
  }

  #recoverTo(ack: Sequence, acked: number): void {
    this.#mustRepeat = false;
    const isPast = this.#recover === null || distance(this.#recover, ack) >= 0;
    if (isPast) this.#recover = null;
    if (!this.#congestion.isRecovering) this.#congestion.grow(acked);
    else if (isPast) this.#congestion.recovered();
    else {
      this.#congestion.partial(acked);
      this.#mustRepeat = true;
    }
  }

  /** An acknowledgement that says the same as the one before. */
  duplicate(): void {
    // The peer is there: what it has no window for may be asked again and again.
    if (this.#una === this.#max) {
      this.#attempts = 0;
      return;
    }
    const inFlight = distance(this.#una, this.#max);
    const isAll = inFlight >= this.queue.length;
    if (this.#congestion.duplicate(inFlight, isAll, this.#recover === null)) {
      this.#recover = this.#max;
      this.#mustRepeat = true;
    }
  }

  /** Sends what may be sent, at the most so many bytes. True: there is more that may be sent at once. */
  output(nowMs: number, turnBytes: number, emit: Emit): boolean {
    if (this.#mustRepeat && !this.#repeat(emit)) return true;
    for (let left = turnBytes; ; ) {
      const sent = distance(this.#una, this.#next);
      const length = this.#sendable(sent);
      if (length === null) break;
      if (left <= 0 || !this.#send(sent, length, nowMs, emit)) return true;
      left -= length;
    }
    this.#watch(nowMs);
    return false;
  }

  /** How many bytes the next segment has, 0 for an end alone; null: nothing may be sent. */
  #sendable(sent: number): number | null {
    const unsent = this.queue.length - sent;
    if (unsent < 0 || (unsent === 0 && (!this.#isEnding || this.#hasEnded))) return null;
    const usable = Math.min(this.#peerWindow, this.#congestion.window) - sent;
    if (usable <= 0) return null;
    const length = Math.min(unsent, this.#mss, usable);
    // RFC 1122 section 4.2.3.4: no short segment because of a window, unless it is half of the widest.
    if (length < unsent && length < this.#mss && length < this.#widestWindow / 2) return null;
    return length;
  }

  #send(sent: number, length: number, nowMs: number, emit: Emit): boolean {
    const isLast = sent + length === this.queue.length;
    const usable = Math.min(this.#peerWindow, this.#congestion.window) - sent;
    const fin = this.#isEnding && isLast && usable > length;
    const seq = this.#next;
    if (!emit(seq, sent, length, isLast, fin)) return false;
    this.#next = add(seq, length + (fin ? 1 : 0));
    if (distance(this.#max, this.#next) > 0) {
      // Karn: only what is sent for the first time is measured.
      if (seq === this.#max) this.#timed ??= { until: this.#next, atMs: nowMs };
      this.#max = this.#next;
    }
    return true;
  }

  /** The first segment without an acknowledgement, once more. */
  #repeat(emit: Emit): boolean {
    const length = Math.min(this.queue.length, this.#mss, distance(this.#una, this.#max));
    const fin = this.#isEnding && length === this.queue.length && distance(this.#una, this.#max) > length;
    if (!emit(this.#una, 0, length, length === this.queue.length, fin)) return false;
    this.#mustRepeat = false;
    this.#timed = null;
    return true;
  }

  /** What is on its way is waited for; what waits for a window asks for it. */
  #watch(nowMs: number): void {
    const isWaiting =
      this.#next !== this.#una || this.queue.length > 0 || (this.#isEnding && !this.#hasEnded);
    if (!isWaiting) this.#deadlineMs = Number.POSITIVE_INFINITY;
    else if (this.#deadlineMs === Number.POSITIVE_INFINITY) this.#deadlineMs = nowMs + this.#rto.rtoMs;
  }

  /** To be called at the deadline. `gave-up`: the peer is not there any more. */
  timeout(nowMs: number, emit: Emit): 'waiting' | 'gave-up' {
    this.#attempts += 1;
    if (this.#attempts > this.#limits.retransmissions) return 'gave-up';
    this.#timed = null;
    const inFlight = distance(this.#una, this.#next);
    this.#rto.backOff();
    this.#deadlineMs = nowMs + this.#rto.rtoMs;
    if (inFlight === 0) {
      this.#probe(emit);
      return 'waiting';
    }
    this.#congestion.timedOut(distance(this.#una, this.#max), this.#attempts === 1);
    // All of it again, as far as the windows let it; what the peer has, its acknowledgements pass over.
    this.#next = this.#una;
    this.#recover = this.#max;
    this.#mustRepeat = false;
    return 'waiting';
  }

  /** Asks a peer whose window holds everything back. What was acknowledged already, it has to answer. */
  #probe(emit: Emit): void {
    const unsent = this.queue.length;
    if (this.#peerWindow === 0 || unsent === 0) {
      emit(add(this.#una, -1), 0, 0, false, false);
      return;
    }
    // A window too small for a decent segment, and nothing has come to widen it.
    const length = Math.min(unsent, this.#mss, this.#peerWindow);
    if (emit(this.#una, 0, length, length === unsent, false)) {
      this.#next = add(this.#una, length);
      if (distance(this.#max, this.#next) > 0) this.#max = this.#next;
    }
  }
}
