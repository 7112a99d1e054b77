/** DHCP messages as values (RFC 2131, 2132): parses what a client sends, encodes what a server answers. Decides nothing. */
import {
  type Ipv4,
  type Mac,
  readMac,
  readUint16,
  readUint32,
  writeMac,
  writeUint16,
  writeUint32,
} from './addresses.ts';

export const DHCP = { serverPort: 67, clientPort: 68 } as const;

export const DHCP_TYPES = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

export const OPTION = {
  subnetMask: 1,
  router: 3,
  resolver: 6,
  mtu: 26,
  requestedAddress: 50,
  leaseSeconds: 51,
  type: 53,
  server: 54,
  wanted: 55,
  renewSeconds: 58,
  rebindSeconds: 59,
  clientIdentifier: 61,
  autoConfig: 252,
} as const;

export interface DhcpMessage {
  readonly type: number;
  readonly transaction: number;
  readonly wantsBroadcast: boolean;
  /** What the client already uses; 0 for none. */
  readonly clientAddress: Ipv4;
  readonly mac: Mac;
  readonly requestedAddress: Ipv4 | null;
  readonly server: Ipv4 | null;
  readonly wanted: readonly number[];
  readonly clientIdentifier: Buffer | null;
}

export interface DhcpReply {
  readonly type: number;
  readonly yourAddress: Ipv4;
  readonly options: readonly (readonly [code: number, value: Buffer])[];
}

const FIXED_BYTES = 236;
const MAGIC = 0x6382_5363;
const BOOT_REQUEST = 1;
const BOOT_REPLY = 2;
const ETHERNET = 1;
const BROADCAST_FLAG = 0x8000;
/** RFC 951: some clients drop less. */
const MIN_BYTES = 300;

/** Null: no DHCP of an ethernet client. */
export function parseDhcp(bytes: Buffer): DhcpMessage | null {
  if (bytes.length < FIXED_BYTES + 4 || readUint32(bytes, FIXED_BYTES) !== MAGIC) return null;
  if (bytes[0] !== BOOT_REQUEST || bytes[1] !== ETHERNET || bytes[2] !== 6) return null;
  const options = parseOptions(bytes.subarray(FIXED_BYTES + 4));
  const type = options?.get(OPTION.type);
  if (options === null || type?.length !== 1) return null;
  const address = (code: number): Ipv4 | null => {
    const value = options.get(code);
    return value?.length === 4 ? readUint32(value, 0) : null;
  };
  return {
    type: type[0] ?? 0,
    transaction: readUint32(bytes, 4),
    wantsBroadcast: (readUint16(bytes, 10) & BROADCAST_FLAG) !== 0,
    clientAddress: readUint32(bytes, 12),
    mac: readMac(bytes, 28),
    requestedAddress: address(OPTION.requestedAddress),
    server: address(OPTION.server),
    wanted: [...(options.get(OPTION.wanted) ?? [])],
    clientIdentifier: options.get(OPTION.clientIdentifier) ?? null,
  };
}

/** Null: one runs past the end. Of one that comes twice the first counts. */
function parseOptions(bytes: Buffer): ReadonlyMap<number, Buffer> | null {
  const options = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const code = bytes[at] ?? 0;
    if (code === 255) break;
    if (code === 0) {
      at += 1;
      continue;
    }
    const length = bytes[at + 1];
    if (length === undefined || at + 2 + length > bytes.length) return null;
    if (!options.has(code)) options.set(code, bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return options;
}

export function encodeDhcp(asked: DhcpMessage, reply: DhcpReply, server: Ipv4): Buffer {
  const options = reply.options.flatMap(([code, value]) => [code, value.length, ...value]);
  const used = FIXED_BYTES + 4 + 3 + options.length + 1;
  const bytes = Buffer.alloc(Math.max(MIN_BYTES, used));
  bytes[0] = BOOT_REPLY;
  bytes[1] = ETHERNET;
  bytes[2] = 6;
  writeUint32(bytes, 4, asked.transaction);
  writeUint16(bytes, 10, asked.wantsBroadcast ? BROADCAST_FLAG : 0);
  // RFC 2131 table 3: an acknowledgement repeats what the client uses, an offer and a refusal do not.
  writeUint32(bytes, 12, reply.type === DHCP_TYPES.ack ? asked.clientAddress : 0);
  writeUint32(bytes, 16, reply.yourAddress);
  writeUint32(bytes, 20, reply.type === DHCP_TYPES.nak ? 0 : server);
  writeMac(bytes, 28, asked.mac);
  writeUint32(bytes, FIXED_BYTES, MAGIC);
  bytes.set([OPTION.type, 1, reply.type, ...options, 255], FIXED_BYTES + 4);
  return bytes;
}

export function addressOption(address: Ipv4): Buffer {
  const value = Buffer.alloc(4);
  writeUint32(value, 0, address);
  return value;
}
