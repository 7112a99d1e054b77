/**
 * Ethernet and IPv4 headers: reads what comes, refusing by name what the link does not carry, and writes what is
 * sent. Knows no protocol above.
 */
import {
  CABLE,
  type Ipv4,
  type Mac,
  readUint16,
  readUint32,
  writeMac,
  writeUint16,
  writeUint32,
} from './addresses.ts';
import { addWords, checksum, fold } from './checksum.ts';
import type { FrameBatch } from './frame-batch.ts';

export const ETHERNET_BYTES = 14;
export const IPV4_BYTES = 20;
export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17 } as const;

const TIME_TO_LIVE = 64;
const DONT_FRAGMENT = 0x4000;
/** More fragments, or an offset. */
const FRAGMENT_BITS = 0x3fff;
/** Options that choose the way; there is one way. */
const SOURCE_ROUTES: readonly number[] = [131, 137];

/** Why a frame went nowhere; each has a counter. */
export type Drop =
  | 'short-frame'
  | 'not-for-the-gateway'
  | 'unknown-ethertype'
  | 'ipv6'
  | 'bad-arp'
  | 'bad-ip-header'
  | 'bad-ip-checksum'
  | 'ip-fragment'
  | 'ip-source-route'
  | 'wrong-source-address'
  | 'wrong-destination-address'
  | 'bad-icmp'
  | 'bad-udp'
  | 'bad-dhcp'
  | 'second-lease'
  | 'bad-tcp'
  | 'bad-tcp-checksum'
  | 'no-connection'
  | 'refused-protocol';

/** Where a packet's parts lie in the buffer it came in. */
export interface Packet {
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly mac: Mac;
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly protocol: number;
  /** The header's first byte. */
  readonly header: number;
  readonly start: number;
  readonly end: number;
}

/** The packet of the frame at `start`, without the padding behind it; or why there is none. */
export function readPacket(
  bytes: Buffer,
  view: DataView,
  start: number,
  end: number,
  mac: Mac,
): Packet | Drop {
  const header = start + ETHERNET_BYTES;
  if (end - header < IPV4_BYTES) return 'bad-ip-header';
  const first = bytes[header] ?? 0;
  const headerBytes = (first & 0xf) * 4;
  const length = readUint16(bytes, header + 2);
  if (first >>> 4 !== 4 || headerBytes < IPV4_BYTES || length < headerBytes || header + length > end) {
    return 'bad-ip-header';
  }
  if (fold(addWords(view, header, header + headerBytes)) !== 0xffff) return 'bad-ip-checksum';
  if ((readUint16(bytes, header + 6) & FRAGMENT_BITS) !== 0) return 'ip-fragment';
  if (headerBytes > IPV4_BYTES && hasSourceRoute(bytes, header + IPV4_BYTES, header + headerBytes)) {
    return 'ip-source-route';
  }
  return {
    bytes,
    view,
    mac,
    source: readUint32(bytes, header + 12),
    destination: readUint32(bytes, header + 16),
    protocol: bytes[header + 9] ?? 0,
    header,
    start: header + headerBytes,
    end: header + length,
  };
}

/** Other options mean nothing here and are read over. */
function hasSourceRoute(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; ) {
    const kind = bytes[at] ?? 0;
    if (kind === 0) return false;
    if (SOURCE_ROUTES.includes(kind)) return true;
    at += kind === 1 ? 1 : Math.max(2, bytes[at + 1] ?? 0);
  }
  return false;
}

export interface Envelope {
  readonly mac: Mac;
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly protocol: number;
}

/** Writes both headers of a packet with this much behind them; gives where that begins, negative where there is no room. */
export function openPacket(batch: FrameBatch, envelope: Envelope, length: number): number {
  const start = batch.reserve(ETHERNET_BYTES + IPV4_BYTES + length);
  if (start < 0) return start;
  const { bytes, view } = batch;
  writeEthernet(bytes, start, envelope.mac, ETHERTYPE.ipv4);
  const header = start + ETHERNET_BYTES;
  bytes[header] = 0x45;
  bytes[header + 1] = 0;
  writeUint16(bytes, header + 2, IPV4_BYTES + length);
  // An identification of zero: what is never cut into fragments needs none (RFC 6864).
  writeUint16(bytes, header + 4, 0);
  writeUint16(bytes, header + 6, DONT_FRAGMENT);
  bytes[header + 8] = TIME_TO_LIVE;
  bytes[header + 9] = envelope.protocol;
  writeUint16(bytes, header + 10, 0);
  writeUint32(bytes, header + 12, envelope.source);
  writeUint32(bytes, header + 16, envelope.destination);
  writeUint16(bytes, header + 10, checksum(view, header, header + IPV4_BYTES));
  return header + IPV4_BYTES;
}

export function writeEthernet(bytes: Buffer, at: number, to: Mac, type: number): void {
  writeMac(bytes, at, to);
  writeMac(bytes, at + 6, CABLE.gatewayMac);
  writeUint16(bytes, at + 12, type);
}
