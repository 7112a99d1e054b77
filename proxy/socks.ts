/**
 * The SOCKS5 wire format (RFC 1928), CONNECT without authentication only. Pure: bytes in, a step out; who
 * reads and answers is `socks-tunnel.ts`.
 */
import { parseAddress } from '../policies/address.ts';
import { parseHost } from '../policies/hostname.ts';
import type { Authority, Host } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';

export const SOCKS5 = 5;

/** Reply codes, RFC 1928 section 6. */
export const SOCKS_REPLY = {
  succeeded: 0,
  failure: 1,
  notAllowed: 2,
  hostUnreachable: 4,
  refused: 5,
  expired: 6,
  commandUnsupported: 7,
  addressUnsupported: 8,
} as const;

export type SocksReply = (typeof SOCKS_REPLY)[keyof typeof SOCKS_REPLY];

export type GreetingStep =
  | { readonly kind: 'more' }
  | { readonly kind: 'greeting'; readonly used: number; readonly acceptsNoAuth: boolean };

/** Version and methods. Reads past neither: at most 257 bytes. */
export function readGreeting(bytes: Buffer): GreetingStep {
  const count = bytes[1];
  if (count === undefined || bytes.length < 2 + count) return { kind: 'more' };
  return { kind: 'greeting', used: 2 + count, acceptsNoAuth: bytes.subarray(2, 2 + count).includes(0) };
}

export type RequestStep =
  | { readonly kind: 'more' }
  | { readonly kind: 'connect'; readonly used: number; readonly authority: Authority }
  | { readonly kind: 'refuse'; readonly reply: SocksReply; readonly detail: string; readonly text: string };

/** A request; what is not a CONNECT to a host that parses is to be answered with `reply`. */
export function readRequest(bytes: Buffer): RequestStep {
  if (bytes.length >= 1 && bytes[0] !== SOCKS5)
    return refuse(SOCKS_REPLY.failure, 'the SOCKS version is not 5');
  if (bytes.length >= 2 && bytes[1] !== 1) {
    return refuse(SOCKS_REPLY.commandUnsupported, 'only CONNECT is served, not BIND or UDP ASSOCIATE');
  }
  if (bytes.length >= 3 && bytes[2] !== 0)
    return refuse(SOCKS_REPLY.failure, 'the reserved byte is not zero');
  const type = bytes[3];
  if (type === undefined) return { kind: 'more' };
  const length = addressLength(type, bytes[4]);
  if (length === 'unsupported') {
    return refuse(SOCKS_REPLY.addressUnsupported, 'an address type other than IPv4, IPv6 or name');
  }
  if (length === null || bytes.length < 4 + length + 2) return { kind: 'more' };
  const field = bytes.subarray(4, 4 + length);
  const host = readHost(type, field);
  const port = bytes.readUInt16BE(4 + length);
  if (typeof host === 'string') return refuse(SOCKS_REPLY.failure, host, field.toString('latin1'));
  if (port === 0) return refuse(SOCKS_REPLY.failure, 'port 0 cannot be connected to');
  return { kind: 'connect', used: 4 + length + 2, authority: { host, port } };
}

function addressLength(type: number, nameLength: number | undefined): number | null | 'unsupported' {
  if (type === 1) return 4;
  if (type === 4) return 16;
  if (type !== 3) return 'unsupported';
  return nameLength === undefined ? null : 1 + nameLength;
}

/** The host, or what is wrong with it. */
function readHost(type: number, field: Buffer): Host | string {
  if (type === 3) {
    const text = field.toString('latin1', 1);
    if (/[^\x21-\x7e]/.test(text)) return 'the name holds bytes that are not printable ASCII';
    // Clients send an IPv6 literal as a name without brackets; no name has a colon.
    const host = parseHost(text.includes(':') && !text.startsWith('[') ? `[${text}]` : text);
    return host.ok ? host.value : `the name cannot be read: ${host.reason}`;
  }
  const text =
    type === 1 ? Array.from(field).join('.') : (field.toString('hex').match(/.{4}/g) ?? []).join(':');
  const address = parseAddress(text);
  return address.ok
    ? { kind: 'address', address: address.value }
    : `the address cannot be read: ${address.reason}`;
}

function refuse(reply: SocksReply, detail: string, text = ''): RequestStep {
  return { kind: 'refuse', reply, detail, text };
}

/** The bound address is not told: it is the host's. */
export function formatReply(reply: SocksReply): Buffer {
  return Buffer.from([SOCKS5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
}

export function replyFor(reason: Reason): SocksReply {
  switch (reason) {
    case 'dns-not-found':
    case 'dns-failed':
    case 'upstream-failed':
      return SOCKS_REPLY.hostUnreachable;
    case 'upstream-refused':
      return SOCKS_REPLY.refused;
    case 'upstream-timeout':
      return SOCKS_REPLY.expired;
    case 'request-malformed':
    case 'internal-error':
    case 'audit-unavailable':
    case 'limit-connections':
    case 'limit-requests':
    case 'shutting-down':
      return SOCKS_REPLY.failure;
    default:
      return SOCKS_REPLY.notAllowed;
  }
}
