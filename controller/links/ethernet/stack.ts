/**
 * The network that the guest's cable ends in: frames and the clock in, frames and events out. Decides what is
 * answered, refused and dropped; opens no socket, sets no timer, and knows no policy.
 */
import type { RefusedDestination } from '../../backends/backend.ts';
import {
  BROADCAST_MAC,
  CABLE,
  formatIpv4,
  type Ipv4,
  isUnicast,
  type Mac,
  readMac,
  readUint16,
} from './addresses.ts';
import { answerArp } from './arp.ts';
import { DhcpServer } from './dhcp.ts';
import { DHCP, parseDhcp } from './dhcp-message.ts';
import { FrameBatch } from './frame-batch.ts';
import { answerIcmp, refuseByIcmp } from './icmp.ts';
import { type Drop, ETHERNET_BYTES, ETHERTYPE, type Packet, PROTOCOL, readPacket } from './ipv4.ts';
import { readIpv6Attempt } from './ipv6.ts';
import type { EthernetLimits } from './limits.ts';
import type { Connection } from './tcp/connection.ts';
import { readSegment } from './tcp/segment.ts';
import { ConnectionTable } from './tcp/table.ts';
import { TriedDestinations } from './tried.ts';
import { readUdp, writeUdp } from './udp.ts';

export const DNS_PORT = 53;

/** A DNS question that came as a datagram. */
export interface Query {
  /** Whom the guest asked; the answer comes from there. */
  readonly server: Ipv4;
  /** The guest's own. */
  readonly port: number;
  readonly mac: Mac;
  /** A copy. */
  readonly message: Buffer;
}

export interface StackOptions {
  readonly limits: EthernetLimits;
  /** Random. */
  readonly secret: string;
  /** The guest opened a connection; it is to be attached to at once. */
  opened(connection: Connection): void;
  query(query: Query): void;
  /** `settle` is wanted. */
  touched(): void;
}

export class EthernetStack {
  readonly batch: FrameBatch;
  readonly #options: StackOptions;
  readonly #planted = new Set<number>([DNS_PORT, CABLE.proxyPort, CABLE.autoConfigPort]);
  readonly #dhcp: DhcpServer;
  readonly #tried: TriedDestinations;
  readonly #drops = new Map<Drop, number>();
  readonly #tcp: ConnectionTable;
  /** Where the guest's own address was last seen. */
  #guestMac: Mac | null = null;

  constructor(options: StackOptions) {
    const { limits, secret } = options;
    this.#options = options;
    this.batch = new FrameBatch(limits.cableBytes);
    this.#dhcp = new DhcpServer(limits);
    this.#tried = new TriedDestinations(limits.refusedDestinations);
    this.#tcp = new ConnectionTable({
      limits,
      secret,
      batch: this.batch,
      isPlanted: (port) => this.#planted.has(port),
      opened: options.opened,
      touched: options.touched,
    });
  }

  /** When `advance` is to be called. */
  get deadlineMs(): number {
    return this.#tcp.deadlineMs;
  }

  get connections(): number {
    return this.#tcp.size;
  }

  plant(ports: readonly number[]): void {
    for (const port of ports) this.#planted.add(port);
  }

  tried(): readonly RefusedDestination[] {
    return this.#tried.list();
  }

  /** Frames that went nowhere, by why, since the start. */
  drops(): ReadonlyMap<Drop, number> {
    return this.#drops;
  }

  /** One frame, from `start` to `end`. The buffer must stay as it is until `settle` has been called. */
  receive(bytes: Buffer, view: DataView, start: number, end: number, nowMs: number): void {
    const drop = this.#frame(bytes, view, start, end, nowMs);
    if (drop !== null) this.#drops.set(drop, (this.#drops.get(drop) ?? 0) + 1);
  }

  advance(nowMs: number): void {
    this.#tcp.advance(nowMs);
  }

  /** To be called after frames, after `advance` and after applications have said something. True: there is more to send. */
  settle(nowMs: number, maySend: boolean): boolean {
    return this.#tcp.settle(nowMs, maySend);
  }

  answer({ server, port, mac }: Query, message: Buffer): void {
    const envelope = { mac, source: server, destination: CABLE.guest };
    writeUdp(this.batch, envelope, { sourcePort: DNS_PORT, destinationPort: port }, message);
  }

  /** A connection to a server of the guest. Null: the guest has not been heard of yet, or has too many connections. */
  connect(port: number, nowMs: number): Connection | null {
    return this.#guestMac === null ? null : this.#tcp.connect(port, this.#guestMac, nowMs);
  }

  /** Resets every connection; what that makes is still in `batch`. */
  clear(): void {
    this.#tcp.clear();
  }

  #frame(bytes: Buffer, view: DataView, start: number, end: number, nowMs: number): Drop | null {
    if (end - start < ETHERNET_BYTES) return 'short-frame';
    const to = readMac(bytes, start);
    const isGroup = ((bytes[start] ?? 0) & 1) === 1;
    if (to !== CABLE.gatewayMac && !isGroup) return 'not-for-the-gateway';
    switch (readUint16(bytes, start + 12)) {
      case ETHERTYPE.ipv4: {
        const packet = readPacket(bytes, view, start, end, readMac(bytes, start + 6));
        return typeof packet === 'string' ? packet : this.#packet(packet, isGroup, nowMs);
      }
      case ETHERTYPE.arp:
        return answerArp(bytes, start, end, this.batch) ? null : 'bad-arp';
      case ETHERTYPE.ipv6: {
        const tried = readIpv6Attempt(bytes, start, end);
        if (tried !== null) this.#tried.add(tried.transport, tried.address, tried.port);
        return 'ipv6';
      }
      default:
        return 'unknown-ethertype';
    }
  }

  #packet(packet: Packet, isGroup: boolean, nowMs: number): Drop | null {
    if (packet.protocol === PROTOCOL.udp) return this.#datagram(packet, isGroup, nowMs);
    const drop = this.#misaddressed(packet);
    if (drop !== null) return drop;
    switch (packet.protocol) {
      case PROTOCOL.tcp:
        // RFC 9293 section 3.9.2.3: nothing to a group begins or changes a connection.
        return isGroup || !isUnicast(packet.destination)
          ? 'wrong-destination-address'
          : this.#segment(packet, nowMs);
      case PROTOCOL.icmp:
        return this.#message(packet, isGroup);
      default:
        this.#refuse(packet, 'other', 0, isGroup);
        return 'refused-protocol';
    }
  }

  /** The guest speaks for itself alone, and not to itself. */
  #misaddressed({ source, destination, mac }: Packet): Drop | null {
    if (source !== CABLE.guest) return 'wrong-source-address';
    this.#guestMac = mac;
    return destination === CABLE.guest ? 'wrong-destination-address' : null;
  }

  #segment(packet: Packet, nowMs: number): Drop | null {
    const segment = readSegment(packet);
    if (typeof segment === 'string') return segment;
    const result = this.#tcp.receive(packet, segment, nowMs);
    if (result === 'refused') {
      this.#tried.add('tcp', formatIpv4(packet.destination), segment.destinationPort);
      return null;
    }
    return result === 'taken' ? null : result;
  }

  #message(packet: Packet, isGroup: boolean): Drop | null {
    const answered = answerIcmp(packet, this.batch);
    if (answered === 'echo') return null;
    if (answered === 'bad') return 'bad-icmp';
    // A request is a try; anything else tells of some other packet, and there is nobody to be told.
    if (packet.bytes[packet.start] === 8) this.#refuse(packet, 'icmp', 0, isGroup);
    return 'refused-protocol';
  }

  #datagram(packet: Packet, isGroup: boolean, nowMs: number): Drop | null {
    const datagram = readUdp(packet);
    if (datagram === null) return 'bad-udp';
    const { sourcePort, destinationPort, start, end } = datagram;
    const payload = packet.bytes.subarray(start, end);
    if (sourcePort === DHCP.clientPort && destinationPort === DHCP.serverPort) {
      return this.#lease(packet, payload, nowMs);
    }
    const drop = this.#misaddressed(packet);
    if (drop !== null) return drop;
    if (destinationPort === DNS_PORT && !isGroup && isUnicast(packet.destination)) {
      const { mac, destination: server } = packet;
      this.#options.query({ server, port: sourcePort, mac, message: Buffer.from(payload) });
      return null;
    }
    this.#refuse(packet, 'udp', destinationPort, isGroup);
    return null;
  }

  #lease(packet: Packet, payload: Buffer, nowMs: number): Drop | null {
    const message = parseDhcp(payload);
    if (message === null) return 'bad-dhcp';
    const isForUs = packet.destination === 0xffff_ffff || packet.destination === CABLE.gateway;
    const answer = isForUs ? this.#dhcp.answer(message, nowMs) : 'silent';
    if (answer === 'silent') return null;
    if (answer === 'second-lease') return answer;
    const envelope = { mac: answer.mac, source: CABLE.gateway, destination: answer.address };
    const ports = { sourcePort: DHCP.serverPort, destinationPort: DHCP.clientPort };
    writeUdp(this.batch, envelope, ports, answer.bytes);
    return null;
  }

  #refuse(packet: Packet, transport: RefusedDestination['transport'], port: number, isGroup: boolean): void {
    this.#tried.add(transport, formatIpv4(packet.destination), port);
    // RFC 1122 section 3.2.2: no error about what went to many.
    if (!isGroup && packet.mac !== BROADCAST_MAC && isUnicast(packet.destination))
      refuseByIcmp(packet, this.batch);
  }
}
