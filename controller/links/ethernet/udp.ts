/** UDP headers: reads a datagram that came, writes one that is sent. Knows no port. */
import { readUint16, writeUint16 } from './addresses.ts';
import { addWords, checksum, fold, pseudoHeader } from './checksum.ts';
import type { FrameBatch } from './frame-batch.ts';
import { type Envelope, openPacket, type Packet, PROTOCOL } from './ipv4.ts';

export const UDP_BYTES = 8;

export interface UdpPorts {
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Its payload lies from `start` to `end` in the packet's buffer. Null: it is malformed, or its checksum is wrong. */
export function readUdp(
  packet: Packet,
): (UdpPorts & { readonly start: number; readonly end: number }) | null {
  const { bytes, view, start } = packet;
  if (packet.end - start < UDP_BYTES) return null;
  const length = readUint16(bytes, start + 4);
  const end = start + length;
  if (length < UDP_BYTES || end > packet.end) return null;
  // RFC 768: a sender that sums nothing says 0.
  if (readUint16(bytes, start + 6) !== 0) {
    const pseudo = pseudoHeader(packet.source, packet.destination, PROTOCOL.udp, length);
    if (fold(addWords(view, start, end, pseudo)) !== 0xffff) return null;
  }
  const sourcePort = readUint16(bytes, start);
  const destinationPort = readUint16(bytes, start + 2);
  return { sourcePort, destinationPort, start: start + UDP_BYTES, end };
}

export function writeUdp(
  batch: FrameBatch,
  envelope: Omit<Envelope, 'protocol'>,
  ports: UdpPorts,
  payload: Buffer,
): void {
  const length = UDP_BYTES + payload.length;
  const at = openPacket(batch, { ...envelope, protocol: PROTOCOL.udp }, length);
  if (at < 0) return;
  const { bytes, view } = batch;
  writeUint16(bytes, at, ports.sourcePort);
  writeUint16(bytes, at + 2, ports.destinationPort);
  writeUint16(bytes, at + 4, length);
  writeUint16(bytes, at + 6, 0);
  payload.copy(bytes, at + UDP_BYTES);
  const pseudo = pseudoHeader(envelope.source, envelope.destination, PROTOCOL.udp, length);
  // A sum of 0 is sent as 0xffff: 0 would mean none.
  writeUint16(bytes, at + 6, checksum(view, at, at + length, pseudo) || 0xffff);
}
