/**
 * The TCP connections of one guest: which segment belongs to which, which may begin, and the bounds on all of them.
 * What a connection does with a segment is its own.
 */
import { CABLE, type Ipv4, type Mac } from '../addresses.ts';
import type { FrameBatch } from '../frame-batch.ts';
import { type Packet, PROTOCOL } from '../ipv4.ts';
import type { EthernetLimits } from '../limits.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import { Deadlines } from './deadlines.ts';
import { initialSequence } from './initial-sequence.ts';
import { FLAG, type Segment, type SegmentEnds, sequenceLength, writeSegment } from './segment.ts';
import { add, distance } from './sequence.ts';

export interface TableOptions {
  readonly limits: EthernetLimits;
  readonly batch: FrameBatch;
  /** Random, for RFC 6528. */
  readonly secret: string;
  /** Whether connections to this port are taken. */
  isPlanted(port: number): boolean;
  /** One was opened; to be attached to at once. */
  opened(connection: Connection): void;
  /** Something is to be settled. */
  touched(): void;
}

const EPHEMERAL = { first: 49_152, count: 16_384 } as const;
const SECOND_MS = 1_000;

export class ConnectionTable implements ConnectionHost {
  readonly limits: EthernetLimits;
  readonly batch: FrameBatch;
  readonly held: { segments: number };
  readonly #options: TableOptions;
  /** By the guest's port, then by the other end. */
  readonly #byPort = new Map<number, Map<number, Connection>>();
  readonly #halfOpen = new Set<Connection>();
  readonly #timeWaits = new Set<Connection>();
  readonly #touched = new Set<Connection>();
  readonly #deadlines = new Deadlines<Connection>();
  #count = 0;
  #unread = 0;
  #challenges = 0;
  #challengesSinceMs = Number.NEGATIVE_INFINITY;
  #nextEphemeral = 0;

  constructor(options: TableOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.batch = options.batch;
    this.held = { segments: options.limits.heldTotalSegments };
  }

  /** Open, half-open and waiting out. */
  get size(): number {
    return this.#count;
  }

  get deadlineMs(): number {
    return this.#deadlines.nextMs;
  }

  /** `refused`: a SYN to a port that is not planted; it has its answer. `no-connection`: what belongs nowhere. */
  receive(packet: Packet, segment: Segment, nowMs: number): 'taken' | 'refused' | 'no-connection' {
    const found = this.#find(segment.sourcePort, otherEnd(packet.destination, segment.destinationPort));
    if (found !== undefined && !this.#isReplaced(found, segment)) {
      found.receive(segment, nowMs);
      this.#watch(found);
      return 'taken';
    }
    if (segment.flags & FLAG.rst) return 'no-connection';
    const isSyn = (segment.flags & (FLAG.syn | FLAG.ack)) === FLAG.syn;
    if (isSyn && this.#options.isPlanted(segment.destinationPort) && this.#mayBegin()) {
      this.#begin(endsOf(packet, segment), segment, nowMs);
      return 'taken';
    }
    this.#refuse(endsOf(packet, segment), segment);
    return isSyn && !this.#options.isPlanted(segment.destinationPort) ? 'refused' : 'no-connection';
  }

  /** A connection to a server of the guest; null: there is no place for another. */
  connect(port: number, mac: Mac, nowMs: number): Connection | null {
    if (this.#count >= this.limits.connections) return null;
    for (let tried = 0; tried < EPHEMERAL.count; tried += 1) {
      const sourcePort = EPHEMERAL.first + this.#nextEphemeral;
      this.#nextEphemeral = (this.#nextEphemeral + 1) % EPHEMERAL.count;
      if (this.#find(port, otherEnd(CABLE.gateway, sourcePort)) !== undefined) continue;
      const envelope = { mac, source: CABLE.gateway, destination: CABLE.guest, protocol: PROTOCOL.tcp };
      return this.#begin({ envelope, sourcePort, destinationPort: port }, null, nowMs);
    }
    return null;
  }

  /** To be called once the clock has passed `deadlineMs`. */
  advance(nowMs: number): void {
    for (;;) {
      const due = this.#deadlines.takeDue(nowMs, this.#count);
      if (due === null) return;
      due.timeout(nowMs);
      this.#watch(due);
    }
  }

  /** Tells what came, then, where it may, sends what may be sent. True: there is more to send. */
  settle(nowMs: number, maySend: boolean): boolean {
    for (const connection of this.#touched) connection.deliver();
    if (!maySend) return this.#touched.size > 0;
    for (const connection of [...this.#touched]) {
      if (!this.batch.hasRoom) return true;
      // Behind the others, where it has more.
      this.#touched.delete(connection);
      if (connection.output(nowMs)) this.#touched.add(connection);
      this.#watch(connection);
    }
    return this.#touched.size > 0;
  }

  /** Resets everything, without another word to its applications. */
  clear(): void {
    for (const others of [...this.#byPort.values()]) {
      for (const connection of [...others.values()]) connection.reset();
    }
    this.#touched.clear();
  }

  // What connections ask of it.

  receiveLimit(): number {
    const { receiveBytes, receiveScantBytes, receiveTotalBytes } = this.limits;
    return this.#unread < receiveTotalBytes ? receiveBytes : receiveScantBytes;
  }

  countUnread(change: number): void {
    this.#unread += change;
  }

  mayChallenge(nowMs: number): boolean {
    if (nowMs - this.#challengesSinceMs >= SECOND_MS) {
      this.#challengesSinceMs = nowMs;
      this.#challenges = 0;
    }
    this.#challenges += 1;
    return this.#challenges <= this.limits.challengeAcks;
  }

  opened(connection: Connection): void {
    this.#options.opened(connection);
  }

  touch(connection: Connection): void {
    this.#touched.add(connection);
    this.#options.touched();
  }

  release(connection: Connection): void {
    if (connection.phase !== 'time-wait') {
      this.#remove(connection);
      return;
    }
    this.#timeWaits.add(connection);
    if (this.#timeWaits.size > this.limits.timeWaits) this.#removeOldest(this.#timeWaits);
  }

  #find(port: number, other: number): Connection | undefined {
    return this.#byPort.get(port)?.get(other);
  }

  /** A new beginning of the same ends: RFC 9293 section 3.6.1 after TIME-WAIT, or where the guest has forgotten its first. */
  #isReplaced(connection: Connection, { flags, seq }: Segment): boolean {
    if ((flags & (FLAG.syn | FLAG.ack | FLAG.rst)) !== FLAG.syn) return false;
    const isLater =
      (connection.phase === 'time-wait' && distance(connection.peerNext, seq) > 0) ||
      (connection.phase === 'syn-received' && add(seq, 1) !== connection.peerNext);
    if (isLater) this.#forget(connection);
    return isLater;
  }

  /** Also where too many have not finished their handshake: the oldest of those gives way. */
  #mayBegin(): boolean {
    if (this.#count >= this.limits.connections && this.#timeWaits.size > 0)
      this.#removeOldest(this.#timeWaits);
    if (this.#halfOpen.size >= this.limits.halfOpen) this.#removeOldest(this.#halfOpen);
    return this.#count < this.limits.connections;
  }

  #begin(ends: SegmentEnds, syn: Segment | null, nowMs: number): Connection {
    const { source, destination } = ends.envelope;
    const of = {
      localAddress: source,
      localPort: ends.sourcePort,
      remoteAddress: destination,
      remotePort: ends.destinationPort,
    };
    const first = initialSequence(of, this.#options.secret, nowMs);
    const connection = new Connection(this, ends, first, syn, nowMs);
    const others = this.#byPort.get(ends.destinationPort) ?? new Map<number, Connection>();
    others.set(otherEnd(source, ends.sourcePort), connection);
    this.#byPort.set(ends.destinationPort, others);
    this.#count += 1;
    if (syn !== null) this.#halfOpen.add(connection);
    this.#watch(connection);
    return connection;
  }

  #watch(connection: Connection): void {
    if (connection.phase === 'open') this.#halfOpen.delete(connection);
    if (connection.phase !== 'closed') this.#deadlines.schedule(connection, this.#count);
  }

  #removeOldest(from: Set<Connection>): void {
    const [oldest] = from;
    if (oldest !== undefined) this.#forget(oldest);
  }

  #forget(connection: Connection): void {
    connection.forget();
    this.#remove(connection);
  }

  #remove(connection: Connection): void {
    this.#halfOpen.delete(connection);
    this.#timeWaits.delete(connection);
    this.#deadlines.forget(connection);
    const { envelope, sourcePort, destinationPort } = connection.ends;
    const others = this.#byPort.get(destinationPort);
    const other = otherEnd(envelope.source, sourcePort);
    if (others?.get(other) !== connection) return;
    others.delete(other);
    this.#count -= 1;
    if (others.size === 0) this.#byPort.delete(destinationPort);
  }

  /** RFC 9293 section 3.10.7.1. */
  #refuse(ends: SegmentEnds, segment: Segment): void {
    const head =
      segment.flags & FLAG.ack
        ? { seq: segment.ack, ack: 0, flags: FLAG.rst, window: 0 }
        : {
            seq: 0,
            ack: add(segment.seq, sequenceLength(segment)),
            flags: FLAG.rst | FLAG.ack,
            window: 0,
          };
    writeSegment(this.batch, ends, head, null, 0, 0);
  }
}

function otherEnd(address: Ipv4, port: number): number {
  return address * 0x1_0000 + port;
}

/** As this side sends: from what the guest sent to. */
function endsOf({ mac, source, destination }: Packet, { sourcePort, destinationPort }: Segment): SegmentEnds {
  const envelope = { mac, source: destination, destination: source, protocol: PROTOCOL.tcp };
  return { envelope, sourcePort: destinationPort, destinationPort: sourcePort };
}
