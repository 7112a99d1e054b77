/**
 * The guest's end of a cable in tests: frames made and read by code of its own, which shares nothing with the stack, so
 * that a mistake on one side is not made twice.
 */
import { expect } from 'vitest';
import type { Slab } from '../../../../controller/links/ethernet/frame-batch.ts';
import { ETHERNET_LIMITS, type EthernetLimits } from '../../../../controller/links/ethernet/limits.ts';
import { EthernetStack, type Query } from '../../../../controller/links/ethernet/stack.ts';
import type { Application, Ending } from '../../../../controller/links/ethernet/tcp/application.ts';
import type { Connection } from '../../../../controller/links/ethernet/tcp/connection.ts';

export const GATEWAY_MAC = '020073616e64';
export const GUEST_MAC = '0a1b2c3d4e5f';
export const GATEWAY = '198.18.0.1';
export const GUEST = '198.18.0.2';

/** The sum of RFC 1071 as it is written there. */
export function sumOf(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
    if (sum > 0xffff) sum = (sum & 0xffff) + 1;
  }
  return sum;
}

function addressBytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

function pseudoOf(source: string, destination: string, protocol: number, length: number): Buffer {
  const tail = Buffer.from([0, protocol, length >> 8, length & 0xff]);
  return Buffer.concat([addressBytes(source), addressBytes(destination), tail]);
}

export interface IpSpec {
  readonly source?: string;
  readonly destination?: string;
  readonly protocol: number;
  readonly payload: Buffer;
  readonly options?: Buffer;
  readonly fragment?: number;
  readonly mac?: string;
}

export function ethernet(type: number, payload: Buffer, mac = GATEWAY_MAC): Buffer {
  const head = Buffer.from(mac + GUEST_MAC, 'hex');
  return Buffer.concat([head, Buffer.from([type >> 8, type & 0xff]), payload]);
}

export function ipFrame(spec: IpSpec): Buffer {
  const options = spec.options ?? Buffer.alloc(0);
  const head = Buffer.alloc(20 + options.length);
  head[0] = 0x40 + head.length / 4;
  head.writeUInt16BE(head.length + spec.payload.length, 2);
  head.writeUInt16BE(spec.fragment ?? 0x4000, 6);
  head[8] = 64;
  head[9] = spec.protocol;
  addressBytes(spec.source ?? GUEST).copy(head, 12);
  addressBytes(spec.destination ?? GATEWAY).copy(head, 16);
  options.copy(head, 20);
  head.writeUInt16BE(sumOf(head) ^ 0xffff, 10);
  return ethernet(0x0800, Buffer.concat([head, spec.payload]), spec.mac);
}

export interface UdpSpec {
  readonly source?: string;
  readonly destination?: string;
  readonly from: number;
  readonly to: number;
  readonly payload: Buffer;
  readonly mac?: string;
}

export function udpFrame({ source = GUEST, destination = GATEWAY, from, to, payload, mac }: UdpSpec): Buffer {
  const datagram = Buffer.concat([Buffer.alloc(8), payload]);
  datagram.writeUInt16BE(from, 0);
  datagram.writeUInt16BE(to, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  const pseudo = pseudoOf(source, destination, 17, datagram.length);
  datagram.writeUInt16BE(sumOf(Buffer.concat([pseudo, datagram])) ^ 0xffff, 6);
  return ipFrame({
    source,
    destination,
    protocol: 17,
    payload: datagram,
    ...(mac === undefined ? {} : { mac }),
  });
}

const FLAGS = { F: 1, S: 2, R: 4, P: 8, A: 16 } as const;

export interface TcpSpec {
  readonly source?: string;
  readonly destination?: string;
  readonly from: number;
  readonly to: number;
  readonly flags: string;
  readonly seq: number;
  readonly ack?: number;
  readonly window?: number;
  readonly options?: Buffer;
  readonly payload?: Buffer;
}

export function tcpFrame(spec: TcpSpec): Buffer {
  const { source = GUEST, destination = '203.0.113.7', payload = Buffer.alloc(0) } = spec;
  const options = spec.options ?? Buffer.alloc(0);
  const segment = Buffer.concat([Buffer.alloc(20), options, payload]);
  segment.writeUInt16BE(spec.from, 0);
  segment.writeUInt16BE(spec.to, 2);
  segment.writeUInt32BE(spec.seq >>> 0, 4);
  segment.writeUInt32BE((spec.ack ?? 0) >>> 0, 8);
  segment[12] = ((20 + options.length) / 4) << 4;
  segment[13] = [...spec.flags].reduce((all, one) => all | FLAGS[one as keyof typeof FLAGS], 0);
  segment.writeUInt16BE(spec.window ?? 0xffff, 14);
  const pseudo = pseudoOf(source, destination, 6, segment.length);
  segment.writeUInt16BE(sumOf(Buffer.concat([pseudo, segment])) ^ 0xffff, 16);
  return ipFrame({ source, destination, protocol: 6, payload: segment });
}

/** MSS, and a window scale where one is given. */
export function synOptions(mss: number, scale: number | null = null): Buffer {
  const all = [2, 4, mss >> 8, mss & 0xff, ...(scale === null ? [] : [1, 3, 3, scale])];
  return Buffer.from(all);
}

export interface ReadTcp {
  readonly source: string;
  readonly destination: string;
  readonly from: number;
  readonly to: number;
  readonly flags: string;
  readonly seq: number;
  readonly ack: number;
  readonly window: number;
  readonly options: Buffer;
  readonly payload: Buffer;
}

export interface ReadIp {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly payload: Buffer;
}

/** Every checksum of what the stack sends is looked at. */
export function readIp(frame: Buffer): ReadIp {
  expect(frame.readUInt16BE(12)).toBe(0x0800);
  expect(frame.toString('hex', 6, 12)).toBe(GATEWAY_MAC);
  const packet = frame.subarray(14);
  expect(sumOf(packet.subarray(0, 20))).toBe(0xffff);
  expect(packet.readUInt16BE(2)).toBe(packet.length);
  return {
    source: [...packet.subarray(12, 16)].join('.'),
    destination: [...packet.subarray(16, 20)].join('.'),
    protocol: packet[9] ?? 0,
    payload: packet.subarray(20),
  };
}

export function readTcp(frame: Buffer): ReadTcp {
  const { source, destination, protocol, payload: segment } = readIp(frame);
  expect(protocol).toBe(6);
  expect(sumOf(Buffer.concat([pseudoOf(source, destination, 6, segment.length), segment]))).toBe(0xffff);
  const head = ((segment[12] ?? 0) >> 4) * 4;
  const bits = segment[13] ?? 0;
  return {
    source,
    destination,
    from: segment.readUInt16BE(0),
    to: segment.readUInt16BE(2),
    flags: Object.entries(FLAGS)
      .filter(([, bit]) => (bits & bit) !== 0)
      .map(([name]) => name)
      .join(''),
    seq: segment.readUInt32BE(4),
    ack: segment.readUInt32BE(8),
    window: segment.readUInt16BE(14),
    options: segment.subarray(20, head),
    payload: segment.subarray(head),
  };
}

export function readUdp(frame: Buffer): { ip: ReadIp; from: number; to: number; payload: Buffer } {
  const ip = readIp(frame);
  expect(ip.protocol).toBe(17);
  const { source, destination, payload: datagram } = ip;
  expect(sumOf(Buffer.concat([pseudoOf(source, destination, 17, datagram.length), datagram]))).toBe(0xffff);
  return { ip, from: datagram.readUInt16BE(0), to: datagram.readUInt16BE(2), payload: datagram.subarray(8) };
}

export function framesOf(slabs: readonly Slab[]): Buffer[] {
  const frames: Buffer[] = [];
  for (const { bytes, used } of slabs) {
    for (let at = 0; at < used; ) {
      const length = bytes.readUInt32BE(at);
      frames.push(Buffer.from(bytes.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
  }
  return frames;
}

/** Reads as it gets, unless it is told not to. */
export class Reader implements Application {
  readonly connection: Connection;
  readonly heard: string[] = [];
  bytes = Buffer.alloc(0);
  unread = 0;
  isReading = true;

  constructor(connection: Connection) {
    this.connection = connection;
    connection.attach(this);
  }

  opened(): void {
    this.heard.push('opened');
  }

  received(bytes: Buffer): void {
    this.bytes = Buffer.concat([this.bytes, bytes]);
    if (!this.isReading) this.unread += bytes.length;
  }

  /** Takes so much of what was not read. */
  read(count: number): void {
    this.unread -= count;
    this.connection.read();
  }

  ended(): void {
    this.heard.push('ended');
  }

  drained(): void {}

  finished(ending: Ending): void {
    this.heard.push(ending);
  }
}

/** A stack with a clock that stands still until it is moved. */
export class Bench {
  readonly stack: EthernetStack;
  readonly readers: Reader[] = [];
  readonly queries: Query[] = [];
  nowMs: number;

  constructor(ports: readonly number[] = [80], limits: Partial<EthernetLimits> = {}, startMs = 1_000_000) {
    this.nowMs = startMs;
    this.stack = new EthernetStack({
      limits: { ...ETHERNET_LIMITS, ...limits },
      secret: 'secret',
      opened: (connection) => this.readers.push(new Reader(connection)),
      query: (query) => this.queries.push(query),
      touched: () => {},
    });
    this.stack.plant(ports);
  }

  /** Frames that came at once, and what goes back. */
  send(...frames: readonly Buffer[]): Buffer[] {
    for (const frame of frames) {
      const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
      this.stack.receive(frame, view, 0, frame.length, this.nowMs);
    }
    return this.settle();
  }

  settle(): Buffer[] {
    const frames: Buffer[] = [];
    for (let turn = 0; turn < 100; turn += 1) {
      const hasMore = this.stack.settle(this.nowMs, true);
      frames.push(...framesOf(this.stack.batch.take()));
      if (!hasMore) break;
    }
    return frames;
  }

  /** Lets time pass, from deadline to deadline; gives what was sent meanwhile, with when. */
  pass(ms: number): { readonly atMs: number; readonly frame: Buffer }[] {
    const sent: { atMs: number; frame: Buffer }[] = [];
    const start = this.nowMs;
    const end = start + ms;
    for (let turn = 0; turn < 100_000 && this.stack.deadlineMs <= end; turn += 1) {
      this.nowMs = Math.max(this.nowMs, this.stack.deadlineMs);
      this.stack.advance(this.nowMs);
      for (const frame of this.settle()) sent.push({ atMs: this.nowMs - start, frame });
    }
    this.nowMs = end;
    return sent;
  }
}

/** The guest's side of one connection, with sequence numbers counted from its own and the other's first byte. */
export class Peer {
  readonly bench: Bench;
  readonly from: number;
  readonly to: number;
  readonly first: number;
  /** The stack's first sequence number; known from its SYN on. */
  other = 0;
  readonly options: Buffer;

  constructor(
    bench: Bench,
    { from = 40_000, to = 80, first = 0xffff_ff00, options = synOptions(1_460, 7) } = {},
  ) {
    this.bench = bench;
    this.from = from;
    this.to = to;
    this.first = first;
    this.options = options;
  }

  /** As in a transcript: flags, own position, the other's position, payload. */
  frame(flags: string, seq: number, ack = 0, payload = '', window = 0xffff): Buffer {
    return tcpFrame({
      from: this.from,
      to: this.to,
      flags,
      seq: this.first + seq,
      ack: this.other + ack,
      window,
      payload: Buffer.from(payload),
      ...(flags.includes('S') ? { options: this.options } : {}),
    });
  }

  say(flags: string, seq: number, ack = 0, payload = '', window = 0xffff): string[] {
    return this.read(this.bench.send(this.frame(flags, seq, ack, payload, window)));
  }

  read(frames: readonly Buffer[]): string[] {
    return frames.map((frame) => this.line(frame));
  }

  line(frame: Buffer): string {
    const { flags, seq, ack, payload, to } = readTcp(frame);
    expect(to).toBe(this.from);
    if (flags.includes('S')) this.other = seq;
    const [own, others] = [(seq - this.other) >>> 0, (ack - this.first) >>> 0];
    const text = payload.length > 40 ? ` [${payload.length}]` : payload.length > 0 ? ` ${payload}` : '';
    return `${flags} ${own | 0} ${flags.includes('A') ? others | 0 : '-'}${text}`;
  }

  open(): Reader {
    this.say('S', 0);
    this.say('A', 1, 1);
    const reader = this.bench.readers.at(-1);
    if (reader === undefined) throw new Error('it did not open');
    return reader;
  }

  /** What passes until the deadline, as lines with their times. */
  pass(ms: number): string[] {
    return this.bench.pass(ms).map(({ atMs, frame }) => `${Math.round(atMs)}ms ${this.line(frame)}`);
  }
}
