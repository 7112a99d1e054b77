/**
 * The words of a DNS message as sand uses them: a question that passed inspection, an answer that sand gives,
 * and the mnemonics of record types and response codes. Pure data; bytes are `wire.ts`'s.
 */

export const RCODES = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

export type Rcode = keyof typeof RCODES;

export const TYPES = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  NULL: 10,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  LOC: 29,
  SRV: 33,
  NAPTR: 35,
  OPT: 41,
  DS: 43,
  SSHFP: 44,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  TLSA: 52,
  SVCB: 64,
  HTTPS: 65,
  SPF: 99,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
} as const;

export const CLASS_IN = 1;

const TYPE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(TYPES).map(([name, code]) => [code, name]),
);

/** Mnemonic, else `TYPE123` (RFC 3597 section 5). */
export function formatType(type: number): string {
  return TYPE_NAMES.get(type) ?? `TYPE${type}`;
}

export interface Edns {
  /** The largest datagram that the client takes, as it says. */
  readonly payloadBytes: number;
  /** Copied into the answer (RFC 3225); sand signs and validates nothing. */
  readonly dnssecOk: boolean;
}

/** A question whose bytes are well formed: its labels hold nothing but letters, digits, `-` and `_`. */
export interface Question {
  readonly id: number;
  /** As asked, its case kept, without a trailing dot; empty for the root. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly edns: Edns | null;
}

export interface AnswerRecord {
  readonly type: 'A' | 'AAAA' | 'PTR';
  /** An address for A and AAAA, a name for PTR. The owner is always the name that was asked. */
  readonly data: string;
}

/** RFC 8914. It goes out only to clients that speak EDNS. */
export interface ExtendedError {
  readonly code: number;
  readonly text: string;
}

export interface Answer {
  readonly rcode: Rcode;
  readonly records: readonly AnswerRecord[];
  readonly ttlSeconds: number;
  readonly extendedError: ExtendedError | null;
}
