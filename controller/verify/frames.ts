/**
 * Frames that a guest with a card of its own can make by itself, and what an answer to one would look like: spoofed stations
 * and addresses, other networks on the same wire, tunnels inside of packets. Pure; the guest's program sends them.
 */
import { BlockList, isIPv4 } from 'node:net';
import { CABLE, formatMac, parseIpv4 } from '../links/ethernet/addresses.ts';
import { checksum } from '../links/ethernet/checksum.ts';

/** The guest's program puts its own station's address here. */
const OWN = 'oooooooooooo';
const GATEWAY = formatMac(CABLE.gatewayMac).replaceAll(':', '');
const EVERYBODY = 'ffffffffffff';
/** Locally administered, and nobody's. */
const STRANGER = '02005a4e0007';
/** All nodes of IPv6 (RFC 2464, section 7). */
const ALL_NODES = { station: '333300000001', address: 'ff02::1' } as const;
/** The guest's own link-local address, made up. */
const LINK_LOCAL = 'fe80::5a4e:7';
const SOURCE_PORT = 47_123;
const TYPES = { ipv4: '0800', arp: '0806', ipv6: '86dd', tagged: '8100', experimental: '88b5' } as const;
const PROTOCOLS = { ipInIp: 4, tcp: 6, udp: 17, ipv6InIp: 41, gre: 47, icmp6: 58 } as const;
const LEAST_BYTES = 60;

/** Both as the guest's program reads them: hexadecimal, and tests of a frame that comes (OFFSET=HEX is there, OFFSET!HEX is not). */
export interface FrameTry {
  readonly frame: string;
  readonly answer: string;
}

/** What answers is nobody of this cable: neither this station nor the gateway. */
const BY_SOMEBODY_ELSE = `6!${OWN},6!${GATEWAY},6!${STRANGER}`;

export function askForStation(address: string): FrameTry {
  return {
    frame: frame(EVERYBODY, OWN, TYPES.arp, arp(1, OWN, CABLE.guest, parseIpv4(address))),
    answer: `12=${TYPES.arp},20=0002,28=${hex4(address)}`,
  };
}

/** The same on a network of its own by a tag (IEEE 802.1Q). */
export function askForTaggedStation(address: string): FrameTry {
  const payload = `0007${TYPES.arp}${arp(1, OWN, CABLE.guest, parseIpv4(address))}`;
  return { frame: frame(EVERYBODY, OWN, TYPES.tagged, payload), answer: `12=${TYPES.tagged}` };
}

/** Everybody is told that the gateway is at another station, to which frames would then come. */
export function claimGateway(): FrameTry {
  return {
    frame: frame(EVERYBODY, STRANGER, TYPES.arp, arp(2, STRANGER, CABLE.gateway, CABLE.gateway)),
    answer: `0=${STRANGER},6!${GATEWAY}`,
  };
}

export interface SpoofedConnect {
  readonly from: 'own-station' | 'strange-station';
  readonly source: string;
  readonly address: string;
  readonly port: number;
}

/** The beginning of a TCP connection; an answer is its acceptance. */
export function spoofConnect({ from, source, address, port }: SpoofedConnect): FrameTry {
  const station = from === 'own-station' ? OWN : STRANGER;
  return isIPv4(address)
    ? {
        frame: frame(
          GATEWAY,
          station,
          TYPES.ipv4,
          hex(packet4(source, address, PROTOCOLS.tcp, syn(source, address, port))),
        ),
        answer: `12=${TYPES.ipv4},23=06,26=${hex4(address)},36=${word(SOURCE_PORT)},47=12`,
      }
    : {
        frame: frame(
          GATEWAY,
          station,
          TYPES.ipv6,
          hex(packet6(source, address, PROTOCOLS.tcp, syn(source, address, port))),
        ),
        answer: `12=${TYPES.ipv6},20=06,56=${word(SOURCE_PORT)},67=12`,
      };
}

/** IPv6 becomes the guest's: whoever believes it takes an address of the prefix, and sends by way of it. */
export function announceRouter(prefix: string): FrameTry {
  const head = Buffer.from('86000000400007080000000000000000', 'hex');
  const option = Buffer.from('030440c000000e1000000e1000000000', 'hex');
  return icmp6(Buffer.concat([head, option, bytes6(prefix)]));
}

/** An echo to every station. */
export function askEverybody(): FrameTry {
  return icmp6(Buffer.from('80000000000700015a4e5a4e', 'hex'));
}

/** A frame of no protocol (IEEE 802, for experiments). */
export function speakStrange(): FrameTry {
  return {
    frame: frame(EVERYBODY, OWN, TYPES.experimental, hex(Buffer.from('sand verify'))),
    answer: BY_SOMEBODY_ELSE,
  };
}

/** As a second station (RFC 2131): an answer would be an address for it. */
export function askForLease(): FrameTry {
  const message = lease(1, [53, 1, 1, 55, 2, 3, 6]);
  return {
    frame: broadcast4(STRANGER, '0.0.0.0', 68, 67, message),
    answer: `12=${TYPES.ipv4},23=11,34=0043,70=${STRANGER}`,
  };
}

/** As the server of others: whoever asks for that address then believes it. */
export function offerLease(): FrameTry {
  const message = lease(2, [53, 1, 2, 54, 4, 198, 18, 0, 9]);
  return {
    frame: broadcast4(STRANGER, '198.18.0.9', 67, 68, message),
    answer: `12=${TYPES.ipv4},23=11,36=0043,${BY_SOMEBODY_ELSE}`,
  };
}

export type Wrapping = 'ip-in-ip' | 'ipv6-in-ip' | 'gre' | 'fragments' | 'source-route';

/** A datagram to somewhere, hidden in what a careless router takes off; an answer is one from there, or of the same kind. */
export function wrapDatagram(how: Wrapping, address: string, port: number): FrameTry {
  const source = '198.18.0.2';
  const gateway = '198.18.0.1';
  // Sixteen bytes: of all pieces but the last the length is a multiple of eight (RFC 791, section 2.3).
  const inner = udp(source, address, SOURCE_PORT, port, Buffer.from('from sand verify'));
  const packet = packet4(source, address, PROTOCOLS.udp, inner);
  const answerOf = (protocol: number) => `12=${TYPES.ipv4},23=${protocol.toString(16).padStart(2, '0')}`;
  const fromThere = `${answerOf(PROTOCOLS.udp)},36=${word(SOURCE_PORT)},26=${hex4(address)}`;
  const sent = (body: Buffer) => frame(GATEWAY, OWN, TYPES.ipv4, hex(body));
  switch (how) {
    case 'ip-in-ip':
      return {
        frame: sent(packet4(source, gateway, PROTOCOLS.ipInIp, packet)),
        answer: answerOf(PROTOCOLS.ipInIp),
      };
    case 'ipv6-in-ip': {
      const six = packet6('fd00::2', '2001:db8::7', PROTOCOLS.tcp, syn('fd00::2', '2001:db8::7', 443));
      return {
        frame: sent(packet4(source, gateway, PROTOCOLS.ipv6InIp, six)),
        answer: answerOf(PROTOCOLS.ipv6InIp),
      };
    }
    case 'gre': {
      const body = Buffer.concat([Buffer.from(`0000${TYPES.ipv4}`, 'hex'), packet]);
      return { frame: sent(packet4(source, gateway, PROTOCOLS.gre, body)), answer: answerOf(PROTOCOLS.gre) };
    }
    case 'fragments':
      // The whole datagram, said to be the first piece of more.
      return {
        frame: sent(packet4(source, address, PROTOCOLS.udp, inner, { flags: 0x2000 })),
        answer: fromThere,
      };
    case 'source-route': {
      const options = Buffer.concat([Buffer.of(131, 7, 4), bytes4(address), Buffer.of(0)]);
      return {
        frame: sent(packet4(source, gateway, PROTOCOLS.udp, inner, { options })),
        answer: fromThere,
      };
    }
  }
}

/** Of this cable's gateway, which has to answer: without it no frame of the others can have been sent. */
export function greetGateway(): FrameTry {
  return askForStation('198.18.0.1');
}

/** Whether an address lies in a prefix of 64 bits. */
export function isWithinPrefix(address: string, prefix: string): boolean {
  const list = new BlockList();
  list.addSubnet(prefix, 64, 'ipv6');
  return list.check(address.replace(/%.*$/, ''), isIPv4(address) ? 'ipv4' : 'ipv6');
}

function frame(to: string, from: string, type: string, payload: string): string {
  const text = to + from + type + payload;
  return text.padEnd(LEAST_BYTES * 2, '0');
}

function arp(operation: number, sender: string, senderAddress: number, target: number): string {
  const head = `0001${TYPES.ipv4}0604${word(operation)}`;
  return `${head}${sender}${hexOf(senderAddress)}${'0'.repeat(12)}${hexOf(target)}`;
}

interface PacketExtras {
  readonly options?: Buffer;
  readonly flags?: number;
}

/** RFC 791. */
function packet4(
  source: string,
  destination: string,
  protocol: number,
  body: Buffer,
  { options = Buffer.alloc(0), flags = 0 }: PacketExtras = {},
): Buffer {
  const headerBytes = 20 + options.length;
  const header = Buffer.alloc(20);
  header[0] = 0x40 | (headerBytes / 4);
  header.writeUInt16BE(headerBytes + body.length, 2);
  header.writeUInt16BE(0x5a4e, 4);
  header.writeUInt16BE(flags, 6);
  header[8] = 64;
  header[9] = protocol;
  bytes4(source).copy(header, 12);
  bytes4(destination).copy(header, 16);
  const whole = Buffer.concat([header, options]);
  whole.writeUInt16BE(sumOf(whole), 10);
  return Buffer.concat([whole, body]);
}

/** RFC 8200. */
function packet6(source: string, destination: string, next: number, body: Buffer, hops = 64): Buffer {
  const header = Buffer.alloc(8);
  header[0] = 0x60;
  header.writeUInt16BE(body.length, 4);
  header[6] = next;
  header[7] = hops;
  return Buffer.concat([header, bytes6(source), bytes6(destination), body]);
}

/** RFC 9293, section 3.1. */
function syn(source: string, destination: string, port: number): Buffer {
  const segment = Buffer.alloc(20);
  segment.writeUInt16BE(SOURCE_PORT, 0);
  segment.writeUInt16BE(port, 2);
  segment.writeUInt32BE(0x5a4e0001, 4);
  segment[12] = 0x50;
  segment[13] = 0x02;
  segment.writeUInt16BE(0xffff, 14);
  segment.writeUInt16BE(sumOf(segment, pseudo(source, destination, PROTOCOLS.tcp, segment.length)), 16);
  return segment;
}

function udp(source: string, destination: string, from: number, to: number, payload: Buffer): Buffer {
  const datagram = Buffer.concat([Buffer.alloc(8), payload]);
  datagram.writeUInt16BE(from, 0);
  datagram.writeUInt16BE(to, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  datagram.writeUInt16BE(
    sumOf(datagram, pseudo(source, destination, PROTOCOLS.udp, datagram.length)) || 0xffff,
    6,
  );
  return datagram;
}

/** To every station; an answer is whatever comes of one that is neither the gateway nor this. */
function icmp6(message: Buffer): FrameTry {
  const body = Buffer.from(message);
  body.writeUInt16BE(0, 2);
  body.writeUInt16BE(sumOf(body, pseudo(LINK_LOCAL, ALL_NODES.address, PROTOCOLS.icmp6, body.length)), 2);
  // 255 hops, or a neighbour takes it for one from afar (RFC 4861, section 6.1.2).
  const packet = packet6(LINK_LOCAL, ALL_NODES.address, PROTOCOLS.icmp6, body, 255);
  return {
    frame: frame(ALL_NODES.station, OWN, TYPES.ipv6, hex(packet)),
    answer: `12=${TYPES.ipv6},${BY_SOMEBODY_ELSE}`,
  };
}

function broadcast4(station: string, source: string, from: number, to: number, message: Buffer): string {
  const everybody = '255.255.255.255';
  const body = packet4(source, everybody, PROTOCOLS.udp, udp(source, everybody, from, to, message));
  return frame(EVERYBODY, station, TYPES.ipv4, hex(body));
}

/** RFC 2131, section 2, with RFC 1497's cookie before the options. */
function lease(operation: 1 | 2, options: readonly number[]): Buffer {
  const message = Buffer.alloc(236);
  message.set([operation, 1, 6, 0], 0);
  message.writeUInt32BE(0x5a4e0002, 4);
  Buffer.from(STRANGER, 'hex').copy(message, 28);
  return Buffer.concat([message, Buffer.of(99, 130, 83, 99), Buffer.from([...options, 255])]);
}

function pseudo(source: string, destination: string, protocol: number, length: number): number {
  const ends = isIPv4(source) ? [bytes4(source), bytes4(destination)] : [bytes6(source), bytes6(destination)];
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(length, 0);
  tail.writeUInt32BE(protocol, 4);
  // The complement of a checksum is the sum that it was made of.
  return sumOf(Buffer.concat([...ends, tail])) ^ 0xffff;
}

function sumOf(bytes: Buffer, before = 0): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return checksum(view, 0, bytes.length, before);
}

function bytes4(address: string): Buffer {
  return Buffer.from(hex4(address), 'hex');
}

function hex4(address: string): string {
  return hexOf(parseIpv4(address));
}

function hexOf(address: number): string {
  return address.toString(16).padStart(8, '0');
}

/** Of an address in its short form, as RFC 5952 writes it. */
function bytes6(address: string): Buffer {
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [left, right] = [groups(head), groups(tail)];
  const middle = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return Buffer.from([...left, ...middle, ...right].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function word(value: number): string {
  return value.toString(16).padStart(4, '0');
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex');
}
