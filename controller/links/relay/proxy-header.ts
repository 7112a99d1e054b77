/**
 * The head of a relayed connection: where it came from in the guest, and where it was going. Version 2 of the PROXY
 * protocol (HAProxy's proxy-protocol.txt, section 2.2), and of it only what sand's own guest relay sends. Pure.
 */
import { parseAddress } from '../../../policies/address.ts';
import type { IpAddress } from '../../../policies/model.ts';

export interface RelayEnd {
  readonly address: IpAddress;
  readonly port: number;
}

export type RelayHead =
  /** What the relay itself opened: as long as it stands, the guest does. */
  | { readonly kind: 'own' }
  | {
      readonly kind: 'guest';
      readonly transport: 'tcp' | 'udp';
      readonly client: RelayEnd;
      /** What the client connected to, or sent its datagram to. */
      readonly destination: RelayEnd;
    };

/** Signature, version and command, family and transport, length of the rest. */
export const FIXED_BYTES = 16;
/** Of the rest: addresses of IPv6, and some extensions that are passed over. Bounds what is waited for. */
export const MOST_FURTHER_BYTES = 512;

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const VERSION_2 = 0x2;
const COMMANDS = { local: 0x0, proxy: 0x1 } as const;
const FAMILIES = { unspecified: 0x0, inet: 0x1, inet6: 0x2 } as const;
const TRANSPORTS: ReadonlyMap<number, 'tcp' | 'udp'> = new Map([
  [0x1, 'tcp'],
  [0x2, 'udp'],
]);

/** How many bytes follow the fixed ones; null for anything that the guest relay does not send. */
export function furtherBytes(fixed: Buffer): number | null {
  if (fixed.length !== FIXED_BYTES || !fixed.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return null;
  const length = fixed.readUInt16BE(14);
  return length <= MOST_FURTHER_BYTES ? length : null;
}

/** Both parts as they came, `further` as long as was said. Null where they do not read: nothing is guessed. */
export function parseRelayHead(fixed: Buffer, further: Buffer): RelayHead | null {
  if (furtherBytes(fixed) !== further.length) return null;
  const command = fixed.readUInt8(12);
  if (command >> 4 !== VERSION_2) return null;
  if ((command & 0xf) === COMMANDS.local) return { kind: 'own' };
  if ((command & 0xf) !== COMMANDS.proxy) return null;
  const transport = TRANSPORTS.get(fixed.readUInt8(13) & 0xf);
  const ends = parseEnds(fixed.readUInt8(13) >> 4, further);
  if (transport === undefined || ends === null) return null;
  return { kind: 'guest', transport, ...ends };
}

function parseEnds(
  family: number,
  bytes: Buffer,
): { readonly client: RelayEnd; readonly destination: RelayEnd } | null {
  if (family === FAMILIES.unspecified) return null;
  const width = family === FAMILIES.inet ? 4 : 16;
  if (family !== FAMILIES.inet && family !== FAMILIES.inet6) return null;
  if (bytes.length < 2 * width + 4) return null;
  const client = parseEnd(bytes.subarray(0, width), bytes.readUInt16BE(2 * width));
  const destination = parseEnd(bytes.subarray(width, 2 * width), bytes.readUInt16BE(2 * width + 2));
  return client === null || destination === null ? null : { client, destination };
}

function parseEnd(bytes: Buffer, port: number): RelayEnd | null {
  const parsed = parseAddress(bytes.length === 4 ? bytes.join('.') : formatGroups(bytes));
  return parsed.ok && port > 0 ? { address: parsed.value, port } : null;
}

function formatGroups(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16)).join(':');
}
