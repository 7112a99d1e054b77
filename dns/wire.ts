/**
 * Decides on raw bytes whether a message is a question that sand answers, before any parser sees it, and cuts
 * answers to size. Hostile input is the normal case here: every function is pure, linear and never throws.
 */
import { MAX_DATAGRAM_BYTES, MAX_QUERY_ADDITIONALS, MAX_QUERY_BYTES, MIN_DATAGRAM_BYTES } from './limits.ts';
import { type Edns, type Question, RCODES, type Rcode, TYPES } from './message.ts';

export const HEADER_BYTES = 12;
/** RFC 1035 section 2.3.4. */
export const MAX_NAME_BYTES = 255;

const FLAG_RESPONSE = 0x8000;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSION_DESIRED = 0x0100;
const FLAG_RECURSION_AVAILABLE = 0x0080;
const FLAG_CHECKING_DISABLED = 0x0010;
const OPT_DNSSEC_OK = 0x8000;

/** Why a message is not answered on its merits, and what goes back. */
export interface QueryFault {
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  readonly rcode: Extract<Rcode, 'FORMERR' | 'NOTIMP' | 'BADVERS'>;
  readonly detail: string;
  /** The name as far as it can be read, in presentation form with \DDD escapes: safe to log. */
  readonly name: string;
  /** null where the question could not be read so far. */
  readonly type: number | null;
}

export type Inspection =
  /** Too short to answer, or itself an answer: a reply could start a loop between two servers. */
  | { readonly kind: 'drop' }
  | { readonly kind: 'fault'; readonly fault: QueryFault }
  | { readonly kind: 'query'; readonly question: Question };

type Section<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly detail: string };

interface ReadName {
  readonly name: string;
  readonly next: number;
}

interface Additionals {
  readonly edns: Edns | null;
  readonly version: number;
}

/** Letters, digits, `-` and `_`: a dot or NUL inside a label would let policy, log and wire disagree on the name. */
export function isHostByte(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2d ||
    byte === 0x5f
  );
}

/** Reads one message that came from a client. */
export function inspectQuery(bytes: Buffer): Inspection {
  if (bytes.length < HEADER_BYTES) return { kind: 'drop' };
  const flags = bytes.readUInt16BE(2);
  if ((flags & FLAG_RESPONSE) !== 0) return { kind: 'drop' };
  const fault = (rcode: QueryFault['rcode'], detail: string, type: number | null = null): Inspection => ({
    kind: 'fault',
    fault: {
      id: bytes.readUInt16BE(0),
      opcode: (flags >> 11) & 0xf,
      recursionDesired: (flags & FLAG_RECURSION_DESIRED) !== 0,
      rcode,
      detail,
      name: bytes.length > MAX_QUERY_BYTES ? '' : showName(bytes, HEADER_BYTES),
      type,
    },
  });

  if (((flags >> 11) & 0xf) !== 0) return fault('NOTIMP', 'an opcode other than QUERY');
  if (bytes.length > MAX_QUERY_BYTES) return fault('FORMERR', `longer than ${MAX_QUERY_BYTES} bytes`);
  if (bytes.readUInt16BE(4) !== 1) return fault('FORMERR', 'not exactly one question');
  if (bytes.readUInt16BE(6) !== 0 || bytes.readUInt16BE(8) !== 0) {
    return fault('FORMERR', 'answer or authority records in a query');
  }
  if (bytes.readUInt16BE(10) > MAX_QUERY_ADDITIONALS) return fault('FORMERR', 'too many additional records');

  const name = readHostName(bytes, HEADER_BYTES);
  if (!name.ok) return fault('FORMERR', name.detail);
  if (name.value.next + 4 > bytes.length) return fault('FORMERR', 'the question is cut short');
  const type = bytes.readUInt16BE(name.value.next);
  const additionals = readAdditionals(bytes, name.value.next + 4, bytes.readUInt16BE(10));
  if (!additionals.ok) return fault('FORMERR', additionals.detail, type);
  if (additionals.value.version !== 0) return fault('BADVERS', 'an EDNS version other than 0', type);
  return {
    kind: 'query',
    question: {
      id: bytes.readUInt16BE(0),
      name: name.value.name,
      type,
      class: bytes.readUInt16BE(name.value.next + 2),
      recursionDesired: (flags & FLAG_RECURSION_DESIRED) !== 0,
      checkingDisabled: (flags & FLAG_CHECKING_DISABLED) !== 0,
      edns: additionals.value.edns,
    },
  };
}

function readHostName(bytes: Buffer, start: number): Section<ReadName> {
  const labels: string[] = [];
  let offset = start;
  while (offset < bytes.length) {
    const length = bytes.readUInt8(offset);
    if (length === 0) return { ok: true, value: { name: labels.join('.'), next: offset + 1 } };
    if (length > 63)
      return { ok: false, detail: 'a compression pointer or unknown label type in the question' };
    const end = offset + 1 + length;
    if (end >= bytes.length) break;
    if (end - start >= MAX_NAME_BYTES) return { ok: false, detail: 'a name longer than 255 bytes' };
    const label = bytes.subarray(offset + 1, end);
    if (!label.every(isHostByte)) return { ok: false, detail: 'a label with a byte that no hostname has' };
    labels.push(label.toString('latin1'));
    offset = end;
  }
  return { ok: false, detail: 'the question is cut short' };
}

function readAdditionals(bytes: Buffer, start: number, count: number): Section<Additionals> {
  let offset = start;
  let found: Additionals | null = null;
  for (let index = 0; index < count; index += 1) {
    const named = skipPlainName(bytes, offset);
    if (named === null || named + 10 > bytes.length)
      return { ok: false, detail: 'an additional record is cut short' };
    const end = named + 10 + bytes.readUInt16BE(named + 8);
    if (end > bytes.length) return { ok: false, detail: 'an additional record is cut short' };
    if (bytes.readUInt16BE(named) === TYPES.OPT) {
      if (found !== null) return { ok: false, detail: 'two OPT records' };
      if (named !== offset + 1) return { ok: false, detail: 'an OPT record with a name' };
      found = {
        edns: {
          payloadBytes: bytes.readUInt16BE(named + 2),
          dnssecOk: (bytes.readUInt16BE(named + 6) & OPT_DNSSEC_OK) !== 0,
        },
        version: bytes.readUInt8(named + 5),
      };
    }
    offset = end;
  }
  if (offset !== bytes.length) return { ok: false, detail: 'bytes after the last record' };
  return { ok: true, value: found ?? { edns: null, version: 0 } };
}

/** The offset after a name without pointers; null where there is none. */
function skipPlainName(bytes: Buffer, start: number): number | null {
  let offset = start;
  while (offset < bytes.length) {
    const length = bytes.readUInt8(offset);
    if (length === 0) return offset + 1;
    if (length > 63) return null;
    offset += 1 + length;
  }
  return null;
}

/** A name as far as it can be read, in the presentation form of RFC 1035 section 5.1: every odd byte escaped. */
function showName(bytes: Buffer, start: number): string {
  const shown: string[] = [];
  let offset = start;
  while (offset < bytes.length && offset - start < MAX_NAME_BYTES) {
    const length = bytes.readUInt8(offset);
    if (length === 0 || length > 63) break;
    const label = bytes.subarray(offset + 1, offset + 1 + length);
    shown.push(
      Array.from(label, (byte) =>
        isHostByte(byte) ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`,
      ).join(''),
    );
    offset += 1 + length;
  }
  return shown.join('.');
}

/** An answer without sections, to a message that was not read to its end: a header, and an OPT where the code needs one. */
export function encodeBare(
  fault: Pick<QueryFault, 'id' | 'opcode' | 'recursionDesired'> & { readonly rcode: Rcode },
): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const rcode = RCODES[fault.rcode];
  header.writeUInt16BE(fault.id, 0);
  header.writeUInt16BE(
    FLAG_RESPONSE |
      (fault.opcode << 11) |
      (fault.recursionDesired ? FLAG_RECURSION_DESIRED : 0) |
      FLAG_RECURSION_AVAILABLE |
      (rcode & 0xf),
    2,
  );
  if (rcode <= 0xf) return header;
  header.writeUInt16BE(1, 10);
  return Buffer.concat([header, encodeOpt(false, rcode >> 4)]);
}

/** An OPT record without options (RFC 6891 section 6.1.2). */
export function encodeOpt(dnssecOk: boolean, extendedRcode = 0): Buffer {
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(TYPES.OPT, 1);
  opt.writeUInt16BE(MAX_DATAGRAM_BYTES, 3);
  opt.writeUInt8(extendedRcode, 5);
  opt.writeUInt16BE(dnssecOk ? OPT_DNSSEC_OK : 0, 7);
  return opt;
}

/** The largest datagram that this client gets. What it asks for is capped, so that no answer amplifies. */
export function datagramLimit(question: Question): number {
  if (question.edns === null) return MIN_DATAGRAM_BYTES;
  return Math.min(Math.max(question.edns.payloadBytes, MIN_DATAGRAM_BYTES), MAX_DATAGRAM_BYTES);
}

/**
 * An encoded answer that fits: as it is, else cut to header, question and OPT with TC set, never inside a record
 * (RFC 2181 section 9). `message` starts with the header and the question that `question` describes.
 */
export function fitDatagram(message: Buffer, question: Question, limitBytes: number): Buffer {
  if (message.length <= limitBytes) return message;
  const questionEnd = HEADER_BYTES + (question.name === '' ? 1 : question.name.length + 2) + 4;
  const head = Buffer.from(message.subarray(0, questionEnd));
  head.writeUInt16BE(head.readUInt16BE(2) | FLAG_TRUNCATED, 2);
  head.writeUInt16BE(0, 6);
  head.writeUInt16BE(0, 8);
  head.writeUInt16BE(question.edns === null ? 0 : 1, 10);
  return question.edns === null ? head : Buffer.concat([head, encodeOpt(question.edns.dnssecOk)]);
}

/** A message with its length before it, for TCP (RFC 1035 section 4.2.2). */
export function frameMessage(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length, 0);
  return Buffer.concat([length, message]);
}
