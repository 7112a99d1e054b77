/** ICMP: the gateway's echo, and the refusal that a datagram to elsewhere gets at once. Asks and reports nothing else. */
import { CABLE, writeUint16, writeUint32 } from './addresses.ts';
import { addWords, checksum, fold } from './checksum.ts';
import type { FrameBatch } from './frame-batch.ts';
import { openPacket, type Packet, PROTOCOL } from './ipv4.ts';

const HEADER_BYTES = 8;
const ECHO_REQUEST = 8;
const UNREACHABLE = 3;
/** "Communication administratively prohibited", RFC 1812 section 5.2.7.1. */
const PROHIBITED = 13;
/** RFC 792: the header and the first eight bytes behind it. */
const QUOTED_BYTES = 8;

/** `echo`: answered. `other`: well formed, and not for the gateway to answer. */
export function answerIcmp(packet: Packet, batch: FrameBatch): 'echo' | 'other' | 'bad' {
  const { bytes, view, start, end } = packet;
  if (end - start < HEADER_BYTES || fold(addWords(view, start, end)) !== 0xffff) return 'bad';
  const isEcho = bytes[start] === ECHO_REQUEST && bytes[start + 1] === 0;
  if (!isEcho || packet.destination !== CABLE.gateway) return 'other';
  const length = end - start;
  const { mac, source } = packet;
  const envelope = { mac, source: CABLE.gateway, destination: source, protocol: PROTOCOL.icmp };
  const at = openPacket(batch, envelope, length);
  if (at < 0) return 'echo';
  bytes.copy(batch.bytes, at, start, end);
  writeUint16(batch.bytes, at, 0);
  writeUint16(batch.bytes, at + 2, 0);
  writeUint16(batch.bytes, at + 2, checksum(batch.view, at, at + length));
  return 'echo';
}

/** In the name of the gateway. Nothing is said to what went to many. */
export function refuseByIcmp(packet: Packet, batch: FrameBatch): void {
  const quoted = Math.min(packet.end, packet.start + QUOTED_BYTES) - packet.header;
  const { mac, source } = packet;
  const envelope = { mac, source: CABLE.gateway, destination: source, protocol: PROTOCOL.icmp };
  const at = openPacket(batch, envelope, HEADER_BYTES + quoted);
  if (at < 0) return;
  const { bytes, view } = batch;
  bytes[at] = UNREACHABLE;
  bytes[at + 1] = PROHIBITED;
  writeUint16(bytes, at + 2, 0);
  writeUint32(bytes, at + 4, 0);
  packet.bytes.copy(bytes, at + HEADER_BYTES, packet.header, packet.header + quoted);
  writeUint16(bytes, at + 2, checksum(view, at, at + HEADER_BYTES + quoted));
}
