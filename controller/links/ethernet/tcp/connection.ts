/**
 * One TCP connection of the guest, ended here: RFC 9293 with the answers of RFC 5961 to what somebody may have made
 * up. Segments and deadlines in, segments and words to its application out; which connections there are is the
 * table's.
 */
import type { FrameBatch } from '../frame-batch.ts';
import type { EthernetLimits } from '../limits.ts';
import type { Application, Ending } from './application.ts';
import { Handshake } from './handshake.ts';
import type { HeldBudget } from './reassembly.ts';
import { type Piece, Receiver } from './receiver.ts';
import { FLAG, type Segment, type SegmentEnds, sequenceLength, writeSegment } from './segment.ts';
import { Sender } from './sender.ts';
import { add, distance, type Sequence } from './sequence.ts';

/** What all connections of a stack share. */
export interface ConnectionHost {
  readonly limits: EthernetLimits;
  readonly batch: FrameBatch;
  readonly held: HeldBudget;
  /** Of one connection's receive buffer, now. */
  receiveLimit(): number;
  /** Whether another challenge acknowledgement may be sent. */
  mayChallenge(nowMs: number): boolean;
  /** The guest has opened it; from here on it has an application. */
  opened(connection: Connection): void;
  /** So many bytes more, or fewer, wait for applications. */
  countUnread(change: number): void;
  /** It has something to say or to send. */
  touch(connection: Connection): void;
  /** It needs its place no more. */
  release(connection: Connection): void;
}

type Phase = 'syn-sent' | 'syn-received' | 'open' | 'time-wait' | 'closed';

export class Connection {
  readonly ends: SegmentEnds;
  /** For the table's queue of deadlines. */
  scheduledMs = Number.POSITIVE_INFINITY;
  readonly #host: ConnectionHost;
  readonly #handshake: Handshake;
  #phase: Phase;
  #application: Application | null = null;
  #sender: Sender | null = null;
  #receiver: Receiver | null = null;
  /** Of TIME-WAIT, and of what nobody reads any more. */
  #closeDeadlineMs = Number.POSITIVE_INFINITY;
  #isEnding = false;
  #endedFirst = false;
  #wasOpen = false;
  #isLetGo = false;
  #ending: Ending | null = null;
  #isOpenTold = false;
  #isEndTold = false;
  #isDrained = false;
  #countedUnread = 0;

  /** Of the guest's SYN, or without one to connect to the guest. */
  constructor(host: ConnectionHost, ends: SegmentEnds, first: Sequence, syn: Segment | null, nowMs: number) {
    this.#host = host;
    this.ends = ends;
    this.#handshake = new Handshake(host, ends, first);
    this.#phase = syn === null ? 'syn-sent' : 'syn-received';
    if (syn !== null) this.#hear(syn);
    this.#handshake.send(nowMs);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** The guest's first sequence number; of what it has acknowledged nothing is asked. */
  get peerNext(): Sequence {
    return this.#receiver?.next ?? this.#handshake.peerFirst;
  }

  /** Written, and not acknowledged. */
  get pendingBytes(): number {
    return this.#sender?.queue.length ?? 0;
  }

  get deadlineMs(): number {
    return Math.min(
      this.#handshake.deadlineMs,
      this.#closeDeadlineMs,
      this.#sender?.deadlineMs ?? Number.POSITIVE_INFINITY,
      this.#receiver?.deadlineMs ?? Number.POSITIVE_INFINITY,
    );
  }

  attach(application: Application): void {
    this.#application = application;
  }

  // What the application calls.

  write(bytes: Buffer): void {
    this.#sender?.queue.push(bytes);
    this.#host.touch(this);
  }

  /** Everything was written. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#sender?.end();
    this.#endedFirst = this.#receiver?.hasEnded === false;
    this.#host.touch(this);
  }

  /** The application has read. */
  read(): void {
    this.#host.touch(this);
  }

  /**
   * Nobody reads any more. What was written is still delivered, as a system does with a closed socket; where
   * something of the guest's went unread it is told so by a reset.
   */
  letGo(nowMs: number): void {
    if (this.#isLetGo || this.#phase === 'closed') return;
    if (
      (this.#application?.unread ?? 0) > 0 ||
      this.#receiver?.hasArrived === true ||
      this.#phase === 'syn-sent'
    ) {
      this.reset();
      return;
    }
    this.#isLetGo = true;
    this.#application = null;
    this.end();
    if (this.#phase !== 'time-wait') this.#closeDeadlineMs = nowMs + this.#host.limits.finWaitMs;
    // Also where it had ended before: its new deadline has to be known.
    this.#host.touch(this);
  }

  reset(): void {
    if (this.#phase === 'closed') return;
    if (this.#phase !== 'syn-sent' && this.#phase !== 'time-wait') {
      this.#send(FLAG.rst | FLAG.ack, this.#sender?.next ?? this.#handshake.next);
    }
    this.#application = null;
    this.#close('reset');
  }

  // What the table calls.

  receive(segment: Segment, nowMs: number): void {
    if (this.#phase === 'closed') return;
    if (this.#phase === 'syn-sent') this.#receiveAnswer(segment, nowMs);
    else this.#receiveSegment(segment, nowMs);
    this.#host.touch(this);
  }

  /** Its place is another's now; the guest is told nothing. */
  forget(): void {
    this.#phase = 'closed';
    this.#receiver?.close();
  }

  timeout(nowMs: number): void {
    if (this.#phase === 'closed') return;
    if (nowMs >= this.#closeDeadlineMs) {
      if (this.#phase !== 'time-wait') {
        this.reset();
        return;
      }
      this.#close('done');
      return;
    }
    if (nowMs >= this.#handshake.deadlineMs && this.#handshake.timeout(nowMs) === 'gave-up') {
      this.#close('timed-out');
      return;
    }
    const [sender, receiver] = [this.#sender, this.#receiver];
    if (receiver !== null && nowMs >= receiver.deadlineMs) receiver.askAck();
    if (sender !== null && nowMs >= sender.deadlineMs && sender.timeout(nowMs, this.#emit) === 'gave-up') {
      this.#send(FLAG.rst | FLAG.ack, sender.next);
      this.#close('timed-out');
      return;
    }
    this.#host.touch(this);
  }

  /** Tells the application what came. */
  deliver(): void {
    if (this.#wasOpen && !this.#isOpenTold) {
      this.#isOpenTold = true;
      if (this.#application === null) this.#host.opened(this);
      else this.#application.opened();
    }
    const pieces = this.#receiver?.take() ?? [];
    if (pieces.length > 0) this.#application?.received(join(pieces));
    if (this.#receiver?.hasEnded === true && !this.#isEndTold) {
      this.#isEndTold = true;
      this.#application?.ended();
    }
    if (this.#isDrained) {
      this.#isDrained = false;
      this.#application?.drained();
    }
    if (this.#ending !== null) {
      const application = this.#application;
      this.#application = null;
      application?.finished(this.#ending);
    }
    this.#countUnread();
  }

  /** Sends what it may. True: it has more, for its next turn. */
  output(nowMs: number): boolean {
    const [sender, receiver] = [this.#sender, this.#receiver];
    this.#countUnread();
    if (this.#phase === 'closed' || receiver === null || sender === null) return false;
    const { limits } = this.#host;
    const hasMore = this.#phase === 'open' && sender.output(nowMs, limits.turnBytes, this.#emit);
    const wantsUpdate =
      this.#phase === 'open' &&
      !this.#isLetGo &&
      receiver.wantsUpdate(this.#unread, this.#host.receiveLimit());
    if (receiver.need === 'now' || wantsUpdate) {
      if (!this.#send(FLAG.ack, sender.next)) return true;
    }
    receiver.watch(nowMs);
    return hasMore;
  }

  get #unread(): number {
    return this.#application?.unread ?? 0;
  }

  #countUnread(): void {
    const change = this.#unread - this.#countedUnread;
    this.#countedUnread += change;
    if (change !== 0) this.#host.countUnread(change);
  }

  // The handshake.

  #hear(syn: Segment): void {
    const { limits, held } = this.#host;
    this.#handshake.read(syn);
    const { peerFirst, mostBytes, shift } = this.#handshake;
    this.#receiver = new Receiver(peerFirst, mostBytes, shift ?? 0, limits, held);
  }

  /** RFC 9293 section 3.10.7.3. Both sides at once is nothing that a guest's server does, and is passed over. */
  #receiveAnswer(segment: Segment, nowMs: number): void {
    const { flags } = segment;
    const isOurs = (flags & FLAG.ack) !== 0 && segment.ack === this.#handshake.next;
    if (flags & FLAG.rst) {
      if (isOurs) this.#close('reset');
      return;
    }
    if ((flags & FLAG.ack) !== 0 && !isOurs) {
      this.#sendReset(segment.ack);
      return;
    }
    if (!isOurs || (flags & FLAG.syn) === 0) return;
    this.#hear(segment);
    // A SYN's own window is not scaled.
    this.#open(segment.window, segment.seq, nowMs);
    this.#receiver?.askAck();
  }

  #open(window: number, windowSeq: Sequence, nowMs: number): void {
    const { next, peerMss } = this.#handshake;
    this.#sender = new Sender(next, peerMss, window, windowSeq, this.#host.limits);
    const roundTripMs = this.#handshake.roundTripMs(nowMs);
    if (roundTripMs !== null) this.#sender.measured(roundTripMs);
    this.#handshake.end();
    this.#phase = 'open';
    this.#wasOpen = true;
  }

  // RFC 9293 section 3.10.7.4.

  #receiveSegment(segment: Segment, nowMs: number): void {
    const receiver = this.#receiver;
    if (receiver === null) return;
    const { flags, seq } = segment;
    if (flags & FLAG.rst) {
      // RFC 5961 section 3: only the one right number resets; a near one is asked for again.
      if (seq === receiver.next) this.#close('reset');
      else if (receiver.accepts(seq, 0)) this.#challenge(nowMs);
      return;
    }
    if (flags & FLAG.syn) {
      if (this.#phase === 'syn-received' && add(seq, 1) === this.#handshake.peerFirst)
        this.#handshake.send(nowMs);
      // RFC 5961 section 4.
      else this.#challenge(nowMs);
      return;
    }
    if (!receiver.accepts(seq, sequenceLength(segment))) {
      receiver.askAck();
      if (this.#phase === 'time-wait') this.#closeDeadlineMs = nowMs + this.#host.limits.timeWaitMs;
      if (this.#phase === 'syn-received') this.#handshake.send(nowMs);
      return;
    }
    if ((flags & FLAG.ack) === 0) return;
    if (this.#phase === 'syn-received') {
      if (segment.ack !== this.#handshake.next) {
        this.#sendReset(segment.ack);
        return;
      }
      this.#open(this.#handshake.windowOf(segment), seq, nowMs);
    }
    if (this.#receiveAck(segment, nowMs)) this.#receiveText(segment, receiver, nowMs);
  }

  /** False: the rest of the segment is not looked at. */
  #receiveAck(segment: Segment, nowMs: number): boolean {
    const sender = this.#sender;
    if (sender === null) return false;
    const acked = sender.judge(segment.ack);
    if (acked < 0) {
      // RFC 5961 section 5.
      this.#challenge(nowMs);
      return false;
    }
    if (acked > 0) {
      sender.acknowledge(segment.ack, acked, nowMs);
      this.#isDrained = true;
      // Who still takes what was written before is given the time.
      if (this.#isLetGo) this.#closeDeadlineMs = nowMs + this.#host.limits.finWaitMs;
    }
    const isNews = sender.updateWindow(segment.seq, segment.ack, this.#handshake.windowOf(segment));
    const isBare = segment.start === segment.end && (segment.flags & FLAG.fin) === 0;
    if (acked === 0 && isBare && !isNews && segment.ack === sender.unacknowledged) sender.duplicate();
    return true;
  }

  #receiveText(segment: Segment, receiver: Receiver, nowMs: number): void {
    const { seq, bytes, start, end, flags } = segment;
    const isNew = distance(receiver.next, add(seq, end - start)) > 0;
    if (this.#isLetGo && end > start && isNew) {
      // Nobody will ever read it: RFC 2525 section 2.17.
      this.reset();
      return;
    }
    const fin = (flags & FLAG.fin) !== 0;
    if ((end > start || fin) && !receiver.hasEnded) receiver.receive(seq, bytes, start, end, fin);
    if (this.#sender?.isDone === true && receiver.hasEnded) this.#finish(nowMs);
  }

  /** Both sides have said everything, and this one knows that it was heard. */
  #finish(nowMs: number): void {
    if (this.#phase === 'time-wait') return;
    if (!this.#endedFirst) {
      this.#close('done');
      return;
    }
    this.#phase = 'time-wait';
    this.#ending = 'done';
    this.#closeDeadlineMs = nowMs + this.#host.limits.timeWaitMs;
    this.#host.release(this);
  }

  #challenge(nowMs: number): void {
    if (this.#host.mayChallenge(nowMs)) this.#send(FLAG.ack, this.#sender?.next ?? this.#handshake.next);
  }

  #close(ending: Ending): void {
    this.#phase = 'closed';
    this.#ending ??= ending;
    this.#handshake.end();
    this.#closeDeadlineMs = Number.POSITIVE_INFINITY;
    this.#sender?.queue.clear();
    this.#sender = null;
    this.#receiver?.close();
    this.#host.release(this);
    this.#host.touch(this);
  }

  #sendReset(seq: Sequence): void {
    const head = { seq, ack: 0, flags: FLAG.rst, window: 0 };
    writeSegment(this.#host.batch, this.ends, head, null, 0, 0);
  }

  /** Without bytes. False: there is no room. */
  #send(flags: number, seq: Sequence): boolean {
    return this.#write(flags, seq, 0, 0);
  }

  readonly #emit = (
    seq: Sequence,
    offset: number,
    length: number,
    isLast: boolean,
    fin: boolean,
  ): boolean => {
    const flags = FLAG.ack | (isLast && length > 0 ? FLAG.psh : 0) | (fin ? FLAG.fin : 0);
    return this.#write(flags, seq, offset, length);
  };

  #write(flags: number, seq: Sequence, offset: number, length: number): boolean {
    const receiver = this.#receiver;
    const window = receiver?.openWindow(this.#unread, this.#host.receiveLimit()) ?? 0;
    const head = { seq, ack: this.peerNext, flags, window };
    const queue = this.#sender?.queue ?? null;
    if (!writeSegment(this.#host.batch, this.ends, head, queue, offset, length)) return false;
    receiver?.acknowledged();
    return true;
  }
}

/** In a buffer of its own and of its own size: what frames come in is used again, and would be held by the smallest of them. */
function join(pieces: readonly Piece[]): Buffer {
  const length = pieces.reduce((sum, { start, end }) => sum + end - start, 0);
  const joined = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const { bytes, start, end } of pieces) at += bytes.copy(joined, at, start, end);
  return joined;
}
