/**
 * Decides what an IP address is: its canonical text, the ranges that contain it, the IPv4 addresses that an
 * IPv6 form embeds, and whether it is one that sand never dials unless a rule lists it. Leaves to
 * `evaluate.ts` which rule lists what.
 */
import ipaddr from 'ipaddr.js';
import type { IpAddress, IpRange } from './model.ts';

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

/** An address as a number; `family` tells how wide. */
export interface AddressBits {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

export interface RangeBits extends AddressBits {
  /** Prefix length. */
  readonly length: number;
}

/** Why an address is never dialled unless a rule lists it; `ordinary` is everything else. */
export type AddressClass =
  | 'ordinary'
  | 'loopback'
  | 'unspecified'
  | 'private'
  | 'carrier-nat'
  | 'link-local'
  | 'benchmarking'
  | 'multicast'
  | 'reserved'
  | 'unique-local'
  | 'site-local'
  | 'discard'
  | 'host'
  | 'metadata';

const WIDTH = { 4: 32, 6: 128 } as const;
const DOTTED_QUAD = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
/** `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255` */
const LONGEST_IPV6 = 45;

/**
 * A bare address literal: a strict dotted quad (four decimal numbers without leading zeros) or an IPv6
 * literal without brackets and without zone id.
 */
export function parseAddress(text: string): Read<IpAddress> {
  const parsed = readBits(text);
  return parsed.ok ? { ok: true, value: formatBits(parsed.value) } : parsed;
}

/** `10.0.0.0/8`, or a literal, which is the range of that one address. Bits set outside the prefix are refused. */
export function parseRange(text: string): Read<IpRange> {
  const slash = text.indexOf('/');
  const address = readBits(slash === -1 ? text : text.slice(0, slash));
  if (!address.ok) return address;
  const width = WIDTH[address.value.family];
  const suffix = slash === -1 ? String(width) : text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(suffix) || Number(suffix) > width) {
    return { ok: false, reason: `the prefix length is a number from 0 to ${width}` };
  }
  const length = Number(suffix);
  const bits = maskBits(address.value, length);
  const canonical = formatRange({ family: address.value.family, bits, length });
  if (bits !== address.value.bits) {
    return { ok: false, reason: `it has bits set outside its prefix: write ${canonical}` };
  }
  return { ok: true, value: canonical };
}

export function rangeContains(range: IpRange, address: IpAddress): boolean {
  return rangeHolds(rangeBits(range), addressBits(address));
}

/** Whether every address of `inner` is in `outer`. */
export function rangeCovers(outer: IpRange, inner: IpRange): boolean {
  const a = rangeBits(outer);
  const b = rangeBits(inner);
  return a.length <= b.length && rangeHolds(a, b);
}

/** The address that a range of exactly one address holds; null for a larger range. */
export function soleAddress(range: IpRange): IpAddress | null {
  const { family, bits, length } = rangeBits(range);
  return length === WIDTH[family] ? formatBits({ family, bits }) : null;
}

export function addressBits(address: IpAddress): AddressBits {
  const parsed = readBits(address);
  if (!parsed.ok) throw new Error(`not a canonical address: ${parsed.reason}`);
  return parsed.value;
}

export function rangeBits(range: IpRange): RangeBits {
  const slash = range.lastIndexOf('/');
  const address = readBits(range.slice(0, slash));
  if (!address.ok) throw new Error(`not a canonical range: ${address.reason}`);
  return { ...address.value, length: Number(range.slice(slash + 1)) };
}

/** The first `length` bits of an address, the rest zero. */
export function maskBits({ family, bits }: AddressBits, length: number): bigint {
  const shift = BigInt(WIDTH[family] - length);
  return (bits >> shift) << shift;
}

function rangeHolds(range: RangeBits, address: AddressBits): boolean {
  return range.family === address.family && maskBits(address, range.length) === range.bits;
}

function readBits(text: string): Read<AddressBits> {
  const quad = readQuad(text);
  if (quad !== null) return { ok: true, value: { family: 4, bits: BigInt(quad) } };
  if (text.includes('%')) return { ok: false, reason: 'a zone id has no meaning outside one machine' };
  if (!text.includes(':')) return { ok: false, reason: 'it is no IP address of four decimal numbers' };
  if (text.length > LONGEST_IPV6 || !/^[0-9a-f:.]+$/i.test(text)) {
    return { ok: false, reason: 'it is no IPv6 address' };
  }
  // ipaddr.js reads `::1.2.3.4` as `::ffff:1.2.3.4` and takes leading zeros for octal, so a dotted tail is
  // turned into hex groups before it sees it.
  const plain = hexTail(text);
  if (plain === null || !ipaddr.IPv6.isValid(plain)) return { ok: false, reason: 'it is no IPv6 address' };
  const bits = ipaddr.IPv6.parse(plain).parts.reduce((sum, part) => (sum << 16n) | BigInt(part), 0n);
  return { ok: true, value: { family: 6, bits } };
}

function readQuad(text: string): number | null {
  const match = DOTTED_QUAD.exec(text);
  if (match === null) return null;
  const parts = match.slice(1).map(Number);
  if (parts.some((part) => part > 255)) return null;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

function hexTail(text: string): string | null {
  if (!text.includes('.')) return text;
  const colon = text.lastIndexOf(':');
  const quad = readQuad(text.slice(colon + 1));
  if (quad === null) return null;
  const high = Math.floor(quad / 65_536).toString(16);
  return `${text.slice(0, colon + 1)}${high}:${(quad % 65_536).toString(16)}`;
}

export function formatBits({ family, bits }: AddressBits): IpAddress {
  if (family === 4) return quadText(bits) as IpAddress;
  // RFC 5952 section 5: the mapped form keeps its dotted tail.
  if (bits >> 32n === 0xffffn) return `::ffff:${quadText(bits & 0xffff_ffffn)}` as IpAddress;
  const parts = Array.from({ length: 8 }, (_, at) => Number((bits >> BigInt(112 - 16 * at)) & 0xffffn));
  return new ipaddr.IPv6(parts).toRFC5952String() as IpAddress;
}

function quadText(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((bits >> shift) & 0xffn)).join('.');
}

function formatRange({ family, bits, length }: RangeBits): IpRange {
  return `${formatBits({ family, bits })}/${length}` as IpRange;
}

function constantRange(text: string): RangeBits {
  const parsed = parseRange(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.reason}`);
  return rangeBits(parsed.value);
}

/** RFC 2544; sand's own: an allowed name is answered with an address of its own from here. */
export const SYNTHETIC_RANGE = '198.18.0.0/15' as IpRange;

/**
 * Addresses at which a cloud hands out credentials to whoever can connect. Sources: the providers' own
 * pages on their instance metadata services; names stand beside the addresses.
 */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set([
  '169.254.169.254', // AWS, Google, Azure, Oracle, DigitalOcean, Hetzner, OpenStack and most others
  '169.254.170.2', // AWS ECS task credentials
  '169.254.170.23', // AWS EKS pod identity
  '169.254.0.23', // Tencent
  '169.254.42.42', // Scaleway
  '100.100.100.200', // Alibaba
  '100.96.0.96', // Volcengine
  '168.63.129.16', // Azure host agent
  '192.0.0.192', // Oracle Classic
  '192.80.8.124', // Equinix Metal
  'fd00:ec2::254', // AWS
  'fd00:ec2::23', // AWS EKS pod identity
  'fd20:ce::254', // Google
  'fd00:c1::a9fe:a9fe', // Oracle
  'fd00:a9fe:a9fe::1', // Akamai (Linode)
  'fd00:42::42', // Scaleway
  'fe80::a9fe:a9fe', // OpenStack
]);

export function isMetadataAddress(address: IpAddress): boolean {
  return METADATA_ADDRESSES.has(address);
}

/** First match counts. The documentation ranges are not here: nothing private lives there. */
const GUARDED: readonly (readonly [AddressClass, RangeBits])[] = (
  [
    ['loopback', '127.0.0.0/8'],
    ['unspecified', '0.0.0.0/8'],
    ['private', '10.0.0.0/8'],
    ['private', '172.16.0.0/12'],
    ['private', '192.168.0.0/16'],
    ['carrier-nat', '100.64.0.0/10'],
    ['link-local', '169.254.0.0/16'],
    ['benchmarking', SYNTHETIC_RANGE],
    // RFC 6890: protocol assignments (DS-Lite, CLAT, PCP anycast), never a public service.
    ['reserved', '192.0.0.0/24'],
    ['multicast', '224.0.0.0/4'],
    ['reserved', '240.0.0.0/4'],
    ['loopback', '::1/128'],
    ['unspecified', '::/128'],
    ['link-local', 'fe80::/10'],
    ['site-local', 'fec0::/10'],
    ['unique-local', 'fc00::/7'],
    ['multicast', 'ff00::/8'],
    ['discard', '100::/64'],
    ['benchmarking', '2001:2::/48'],
  ] as const
).map(([name, text]) => [name, constantRange(text)]);

const GLOBAL_UNICAST = constantRange('2000::/3');

/** Every range at whose edges `classifyAddress` can change its mind, but for what an address embeds. */
export function guardedRanges(): readonly RangeBits[] {
  const metadata = [...METADATA_ADDRESSES].map((text) => constantRange(text));
  return [...GUARDED.map(([, range]) => range), ...metadata, GLOBAL_UNICAST, ...EMBEDDING];
}

/**
 * What the guard says of an address, and of every IPv4 address that it embeds; the strictest holds. A cloud
 * metadata address is told apart, since no range may open it. `hostAddresses` are the interface addresses of
 * the computer that sand runs on.
 */
export function classifyAddress(address: IpAddress, hostAddresses: readonly IpAddress[]): AddressClass {
  const forms = embeddedForms(address);
  const candidates = [address, ...forms.addresses];
  if (candidates.some(isMetadataAddress)) return 'metadata';
  for (const candidate of candidates) {
    const bits = addressBits(candidate);
    const guarded = GUARDED.find(([, range]) => rangeHolds(range, bits));
    if (guarded !== undefined) return guarded[0];
  }
  if (candidates.some((candidate) => hostAddresses.includes(candidate))) return 'host';
  const own = addressBits(address);
  // Fail closed: IPv6 outside global unicast is not routed by anybody, unless it is a form judged by what it embeds.
  if (own.family === 6 && !forms.byPrefix && !rangeHolds(GLOBAL_UNICAST, own)) return 'reserved';
  return 'ordinary';
}

/** The IPv4 addresses inside an IPv6 address, in every form that a host or a translator on the way may act on. */
export function embeddedAddresses(address: IpAddress): readonly IpAddress[] {
  return embeddedForms(address).addresses;
}

interface EmbeddedForms {
  readonly addresses: readonly IpAddress[];
  /** The prefix itself says that the rest is an IPv4 address. */
  readonly byPrefix: boolean;
}

const MAPPED = constantRange('::ffff:0:0/96'); // RFC 4291 section 2.5.5.2
const COMPATIBLE = constantRange('::/96'); // RFC 4291 section 2.5.5.1
const TRANSLATED = constantRange('::ffff:0:0:0/96'); // RFC 2765
const NAT64 = constantRange('64:ff9b::/96'); // RFC 6052
const NAT64_LOCAL = constantRange('64:ff9b:1::/48'); // RFC 8215
const SIX_TO_FOUR = constantRange('2002::/16'); // RFC 3056
const TEREDO = constantRange('2001::/32'); // RFC 4380
const EMBEDDING = [MAPPED, COMPATIBLE, TRANSLATED, NAT64, NAT64_LOCAL, SIX_TO_FOUR, TEREDO];

function embeddedForms(address: IpAddress): EmbeddedForms {
  const value = addressBits(address);
  if (value.family === 4) return { addresses: [], byPrefix: false };
  const { bits } = value;
  const at = (shift: number): bigint => (bits >> BigInt(shift)) & 0xffff_ffffn;
  const found: bigint[] = [];
  const byLowBits = [MAPPED, TRANSLATED, NAT64].some((range) => rangeHolds(range, value));
  const compatible = rangeHolds(COMPATIBLE, value) && bits > 1n;
  if (byLowBits || compatible) found.push(at(0));
  const local = rangeHolds(NAT64_LOCAL, value);
  if (local) found.push(...localNat64(bits));
  if (rangeHolds(SIX_TO_FOUR, value)) found.push(at(80));
  // Teredo carries the server as it is and the client with every bit inverted.
  if (rangeHolds(TEREDO, value)) found.push(at(64), at(0) ^ 0xffff_ffffn);
  // ISATAP, RFC 5214: an interface identifier of 0000:5efe or 0200:5efe, under any prefix.
  if ((at(32) & 0xfdff_ffffn) === 0x5efen) found.push(at(0));
  return {
    addresses: found.map((quad) => formatBits({ family: 4, bits: quad })),
    byPrefix: byLowBits || compatible || local,
  };
}

/**
 * A local NAT64 prefix may have any length that RFC 6052 section 2.2 knows, and the address does not say
 * which: every position whose suffix is zero, as that section demands, is a candidate.
 */
function localNat64(bits: bigint): bigint[] {
  const octets = Array.from({ length: 16 }, (_, at) => Number((bits >> BigInt(120 - 8 * at)) & 0xffn));
  const layouts = [
    [6, 7, 9, 10],
    [7, 9, 10, 11],
    [9, 10, 11, 12],
    [12, 13, 14, 15],
  ];
  const candidates = layouts
    .filter((layout) => octets.slice((layout.at(-1) ?? 15) + 1).every((octet) => octet === 0))
    .map((layout) => layout.reduce((sum, at) => (sum << 8n) | BigInt(octets[at] ?? 0), 0n));
  const nonZero = candidates.filter((quad) => quad !== 0n);
  return nonZero.length > 0 ? nonZero : [0n];
}
