/** IPv6, which this link does not carry: what is told of a packet that is dropped. */
import { readUint16 } from './addresses.ts';
import { ETHERNET_BYTES } from './ipv4.ts';

const HEADER_BYTES = 40;
const NEXT_HEADER = { tcp: 6, udp: 17, icmp: 58 } as const;

export interface Ipv6Attempt {
  readonly transport: 'tcp' | 'udp' | 'other';
  readonly address: string;
  readonly port: number;
}

/** Null: it is malformed, or to a group: what a kernel says there by itself, looking for neighbours, nobody tried. */
export function readIpv6Attempt(bytes: Buffer, start: number, end: number): Ipv6Attempt | null {
  const at = start + ETHERNET_BYTES;
  if (end - at < HEADER_BYTES || (bytes[at] ?? 0) >>> 4 !== 6 || bytes[at + 24] === 0xff) return null;
  const next = bytes[at + 6];
  if (next === NEXT_HEADER.icmp) return null;
  const address = formatIpv6(bytes, at + 24);
  const transport = next === NEXT_HEADER.tcp ? 'tcp' : next === NEXT_HEADER.udp ? 'udp' : 'other';
  const hasPort = transport !== 'other' && end - at >= HEADER_BYTES + 4;
  return { transport, address, port: hasPort ? readUint16(bytes, at + HEADER_BYTES + 2) : 0 };
}

/** RFC 5952. */
function formatIpv6(bytes: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => readUint16(bytes, at + 2 * index).toString(16));
  const runs = [
    ...groups
      .map((group) => (group === '0' ? '0' : '1'))
      .join('')
      .matchAll(/00+/g),
  ];
  const longest = runs.toSorted((one, other) => other[0].length - one[0].length)[0];
  if (longest === undefined) return groups.join(':');
  const head = groups.slice(0, longest.index).join(':');
  return `${head}::${groups.slice(longest.index + longest[0].length).join(':')}`;
}
