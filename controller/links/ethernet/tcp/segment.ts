/** TCP segments: reads one out of a packet, writes one into a batch of frames. Knows no connection. */
import { readUint16, readUint32, writeUint16, writeUint32 } from '../addresses.ts';
import { addWords, checksum, fold, pseudoHeader } from '../checksum.ts';
import type { FrameBatch } from '../frame-batch.ts';
import { type Envelope, openPacket, type Packet, PROTOCOL } from '../ipv4.ts';
import type { SendQueue } from './send-queue.ts';
import type { Sequence } from './sequence.ts';

export const FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

const HEADER_BYTES = 20;
const OPTION = { end: 0, nothing: 1, mss: 2, windowScale: 3 } as const;
/** RFC 7323 section 2.3: a larger one counts as this. */
const MAX_SHIFT = 14;

export interface Segment {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: Sequence;
  readonly ack: Sequence;
  readonly flags: number;
  /** As it stands in the header, not scaled. */
  readonly window: number;
  /** Of a SYN; null where it does not say. */
  readonly mss: number | null;
  readonly windowScale: number | null;
  readonly bytes: Buffer;
  /** The payload. */
  readonly start: number;
  readonly end: number;
}

/** With SYN and FIN, which count as a byte each. */
export function sequenceLength({ flags, start, end }: Segment): number {
  return end - start + (flags & FLAG.syn ? 1 : 0) + (flags & FLAG.fin ? 1 : 0);
}

export function readSegment(packet: Packet): Segment | 'bad-tcp' | 'bad-tcp-checksum' {
  const { bytes, start, end } = packet;
  if (end - start < HEADER_BYTES) return 'bad-tcp';
  const payload = start + ((bytes[start + 12] ?? 0) >>> 4) * 4;
  if (payload < start + HEADER_BYTES || payload > end) return 'bad-tcp';
  const pseudo = pseudoHeader(packet.source, packet.destination, PROTOCOL.tcp, end - start);
  if (fold(addWords(packet.view, start, end, pseudo)) !== 0xffff) return 'bad-tcp-checksum';
  const flags = bytes[start + 13] ?? 0;
  const options = flags & FLAG.syn ? readOptions(bytes, start + HEADER_BYTES, payload) : NO_OPTIONS;
  return {
    sourcePort: readUint16(bytes, start),
    destinationPort: readUint16(bytes, start + 2),
    seq: readUint32(bytes, start + 4),
    ack: readUint32(bytes, start + 8),
    flags,
    window: readUint16(bytes, start + 14),
    mss: options.mss,
    windowScale: options.windowScale,
    bytes,
    start: payload,
    end,
  };
}

interface Options {
  readonly mss: number | null;
  readonly windowScale: number | null;
}

const NO_OPTIONS: Options = { mss: null, windowScale: null };

/** A malformed one ends the reading; what was read counts. Those not known are read over. */
function readOptions(bytes: Buffer, from: number, to: number): Options {
  let { mss, windowScale } = NO_OPTIONS;
  for (let at = from; at < to; ) {
    const kind = bytes[at] ?? OPTION.end;
    if (kind === OPTION.end) break;
    if (kind === OPTION.nothing) {
      at += 1;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > to) break;
    if (kind === OPTION.mss && length === 4) mss = readUint16(bytes, at + 2);
    if (kind === OPTION.windowScale && length === 3) windowScale = Math.min(bytes[at + 2] ?? 0, MAX_SHIFT);
    at += length;
  }
  return { mss, windowScale };
}

export interface SegmentEnds {
  readonly envelope: Envelope;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface SegmentHead {
  readonly seq: Sequence;
  readonly ack: Sequence;
  readonly flags: number;
  /** As it goes into the header. */
  readonly window: number;
  /** With a SYN. */
  readonly mss?: number;
  readonly windowScale?: number | null;
}

/** `length` bytes of the queue from `offset` on are its payload. False: there was no room. */
export function writeSegment(
  batch: FrameBatch,
  { envelope, sourcePort, destinationPort }: SegmentEnds,
  head: SegmentHead,
  queue: SendQueue | null,
  offset: number,
  length: number,
): boolean {
  const mssBytes = head.mss === undefined ? 0 : 4;
  const scaleBytes = typeof head.windowScale === 'number' ? 4 : 0;
  const headerBytes = HEADER_BYTES + mssBytes + scaleBytes;
  const at = openPacket(batch, envelope, headerBytes + length);
  if (at < 0) return false;
  const { bytes, view } = batch;
  writeUint16(bytes, at, sourcePort);
  writeUint16(bytes, at + 2, destinationPort);
  writeUint32(bytes, at + 4, head.seq);
  writeUint32(bytes, at + 8, head.ack);
  bytes[at + 12] = (headerBytes / 4) << 4;
  bytes[at + 13] = head.flags;
  writeUint16(bytes, at + 14, head.window);
  writeUint32(bytes, at + 16, 0);
  if (head.mss !== undefined) writeUint32(bytes, at + HEADER_BYTES, 0x0204_0000 + head.mss);
  if (typeof head.windowScale === 'number') {
    writeUint32(bytes, at + HEADER_BYTES + mssBytes, 0x0103_0300 + head.windowScale);
  }
  queue?.copy(offset, length, bytes, at + headerBytes);
  const pseudo = pseudoHeader(envelope.source, envelope.destination, PROTOCOL.tcp, headerBytes + length);
  writeUint16(bytes, at + 16, checksum(view, at, at + headerBytes + length, pseudo));
  return true;
}
