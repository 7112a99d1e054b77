/**
 * The bytes between sand and its upstreams: encodes a question and reads what comes back. Upstream bytes are
 * read into values and never passed on, so nothing that an upstream writes reaches a guest's parser.
 */
import type { Hostname } from '../policies/model.ts';
import { MAX_POINTERS, MAX_SECTION_RECORDS, PADDING_BLOCK_BYTES } from './limits.ts';
import { CLASS_IN, TYPES } from './message.ts';
import { encodeOpt, HEADER_BYTES, isHostByte, MAX_NAME_BYTES } from './wire.ts';

export interface UpstreamQuestion {
  readonly id: number;
  readonly name: Hostname;
  readonly type: number;
  /** Old forwarders answer EDNS with an error; the second round goes without. */
  readonly edns: boolean;
}

export interface UpstreamRecord {
  /** Lower case; null where the owner is no hostname. */
  readonly owner: string | null;
  readonly ttlSeconds: number;
  readonly data:
    | { readonly kind: 'address'; readonly text: string }
    | { readonly kind: 'cname'; readonly target: string | null };
}

export type UpstreamReply =
  /** It answers something else, or nothing: ignored, for it may be late or forged. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'malformed'; readonly detail: string }
  | { readonly kind: 'truncated' }
  | {
      readonly kind: 'reply';
      readonly rcode: number;
      readonly records: readonly UpstreamRecord[];
      /** RFC 2308 section 5, from the SOA of a negative answer; null where there is none. */
      readonly negativeSeconds: number | null;
    };

interface RawRecord {
  readonly owner: string | null;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  readonly start: number;
  readonly end: number;
}

/** Thrown inside this file only; `readReply` turns it into a value. */
class Malformed extends Error {}

export function encodeQuestion(question: UpstreamQuestion): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(question.id, 0);
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(question.edns ? 1 : 0, 10);
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(question.type, 0);
  tail.writeUInt16BE(CLASS_IN, 2);
  const parts = [header, encodeName(question.name), tail];
  if (question.edns) parts.push(encodeOpt(false));
  return Buffer.concat(parts);
}

const PADDING_OPTION = 12;
const OPTION_HEADER_BYTES = 4;

/**
 * As `encodeQuestion`, padded to a whole block (RFC 7830, RFC 8467), so that its length does not tell the name to
 * whoever watches an encrypted connection. Without EDNS there is no place for padding.
 */
export function encodePaddedQuestion(question: UpstreamQuestion): Buffer {
  const plain = encodeQuestion(question);
  if (!question.edns) return plain;
  const least = plain.length + OPTION_HEADER_BYTES;
  const padding = (PADDING_BLOCK_BYTES - (least % PADDING_BLOCK_BYTES)) % PADDING_BLOCK_BYTES;
  const option = Buffer.alloc(OPTION_HEADER_BYTES + padding);
  option.writeUInt16BE(PADDING_OPTION, 0);
  option.writeUInt16BE(padding, 2);
  // The OPT record stands last, and its length in its last two bytes.
  plain.writeUInt16BE(option.length, plain.length - 2);
  return Buffer.concat([plain, option]);
}

function encodeName(name: Hostname): Buffer {
  const parts: Buffer[] = [];
  for (const label of name.split('.')) parts.push(Buffer.from([label.length]), Buffer.from(label, 'latin1'));
  return Buffer.concat([...parts, Buffer.from([0])]);
}

/** Reads one message from an upstream. Never throws; linear in the records it is willing to read. */
export function readReply(bytes: Buffer, asked: UpstreamQuestion): UpstreamReply {
  try {
    return readChecked(bytes, asked);
  } catch (error) {
    if (error instanceof Malformed) return { kind: 'malformed', detail: error.message };
    throw error;
  }
}

function readChecked(bytes: Buffer, asked: UpstreamQuestion): UpstreamReply {
  if (bytes.length < HEADER_BYTES || bytes.readUInt16BE(0) !== asked.id) return { kind: 'foreign' };
  const flags = bytes.readUInt16BE(2);
  // QR set, opcode QUERY.
  if ((flags & 0xf800) !== 0x8000) return { kind: 'foreign' };
  const rcode = flags & 0xf;
  const questions = bytes.readUInt16BE(4);
  // Servers that cannot read a question may leave it out of their error; an error carries no address.
  if (questions === 0 && rcode !== 0 && rcode !== 3) {
    return { kind: 'reply', rcode, records: [], negativeSeconds: null };
  }
  if (questions !== 1) return { kind: 'foreign' };
  const offset = matchQuestion(bytes, asked);
  if (offset === null) return { kind: 'foreign' };
  if ((flags & 0x0200) !== 0) return { kind: 'truncated' };
  const answers = readSection(bytes, offset, bytes.readUInt16BE(6));
  const records = answers.records.flatMap((raw) => {
    const data = readData(bytes, raw, asked.type);
    return data === null ? [] : [{ owner: raw.owner, ttlSeconds: raw.ttlSeconds, data }];
  });
  if (records.some((record) => record.data.kind === 'address')) {
    return { kind: 'reply', rcode, records, negativeSeconds: null };
  }
  const authority = readSection(bytes, answers.next, bytes.readUInt16BE(8));
  const negative = authority.records.flatMap((raw) => readSoaSeconds(bytes, raw));
  return { kind: 'reply', rcode, records, negativeSeconds: negative[0] ?? null };
}

/** The offset after the question; null where it is not the one that was asked. Case does not count. */
function matchQuestion(bytes: Buffer, asked: UpstreamQuestion): number | null {
  const expected = encodeName(asked.name);
  const end = HEADER_BYTES + expected.length;
  if (end + 4 > bytes.length) return null;
  const name = bytes.toString('latin1', HEADER_BYTES, end).toLowerCase();
  if (name !== expected.toString('latin1')) return null;
  if (bytes.readUInt16BE(end) !== asked.type || bytes.readUInt16BE(end + 2) !== CLASS_IN) return null;
  return end + 4;
}

function readSection(
  bytes: Buffer,
  start: number,
  count: number,
): { readonly records: readonly RawRecord[]; readonly next: number } {
  if (count > MAX_SECTION_RECORDS)
    throw new Malformed(`more than ${MAX_SECTION_RECORDS} records in a section`);
  const records: RawRecord[] = [];
  let offset = start;
  for (let index = 0; index < count; index += 1) {
    const owner = readName(bytes, offset);
    const fixed = owner.next;
    if (fixed + 10 > bytes.length) throw new Malformed('a record is cut short');
    const end = fixed + 10 + bytes.readUInt16BE(fixed + 8);
    if (end > bytes.length) throw new Malformed('a record is cut short');
    records.push({
      owner: owner.name,
      type: bytes.readUInt16BE(fixed),
      class: bytes.readUInt16BE(fixed + 2),
      ttlSeconds: readTtl(bytes, fixed + 4),
      start: fixed + 10,
      end,
    });
    offset = end;
  }
  return { records, next: offset };
}

function readData(bytes: Buffer, raw: RawRecord, askedType: number): UpstreamRecord['data'] | null {
  if (raw.class !== CLASS_IN) return null;
  if (raw.type === TYPES.CNAME) {
    const target = readName(bytes, raw.start);
    if (target.next !== raw.end) throw new Malformed('a CNAME whose length is wrong');
    return { kind: 'cname', target: target.name };
  }
  if (raw.type !== askedType) return null;
  const data = bytes.subarray(raw.start, raw.end);
  if (raw.type === TYPES.A) {
    if (data.length !== 4) throw new Malformed('an A record whose length is wrong');
    return { kind: 'address', text: Array.from(data).join('.') };
  }
  if (raw.type === TYPES.AAAA) {
    if (data.length !== 16) throw new Malformed('an AAAA record whose length is wrong');
    const groups = [0, 2, 4, 6, 8, 10, 12, 14].map((at) => data.readUInt16BE(at).toString(16));
    return { kind: 'address', text: groups.join(':') };
  }
  return null;
}

function readSoaSeconds(bytes: Buffer, raw: RawRecord): number[] {
  if (raw.type !== TYPES.SOA || raw.class !== CLASS_IN) return [];
  const primary = readName(bytes, raw.start);
  const mailbox = readName(bytes, primary.next);
  if (mailbox.next + 20 !== raw.end) throw new Malformed('a SOA whose length is wrong');
  return [Math.min(raw.ttlSeconds, readTtl(bytes, raw.end - 4))];
}

/** RFC 2181 section 8: the top bit set means zero. */
function readTtl(bytes: Buffer, offset: number): number {
  const seconds = bytes.readUInt32BE(offset);
  return seconds > 0x7fffffff ? 0 : seconds;
}

/**
 * A name with pointers. Each pointer must lead further back than the last, and they are counted, so no message
 * can make this loop. A label that no hostname has makes the whole name null: it equals nothing.
 */
function readName(bytes: Buffer, start: number): { readonly name: string | null; readonly next: number } {
  // One pass over the bytes and one string at the end: a message may hold hundreds of names of many labels.
  const text = Buffer.allocUnsafe(MAX_NAME_BYTES);
  let plain = true;
  let size = 0;
  let pointers = 0;
  let next: number | null = null;
  let segment = start;
  let offset = start;
  while (offset < bytes.length) {
    const length = bytes.readUInt8(offset);
    if (length === 0) {
      const name = plain ? text.toString('latin1', 0, Math.max(0, size - 1)) : null;
      return { name, next: next ?? offset + 1 };
    }
    if (length >= 0xc0) {
      if (offset + 2 > bytes.length) break;
      const target = bytes.readUInt16BE(offset) & 0x3fff;
      pointers += 1;
      if (target >= segment || pointers > MAX_POINTERS)
        throw new Malformed('a compression pointer that does not lead back');
      next ??= offset + 2;
      segment = target;
      offset = target;
      continue;
    }
    if (length > 63) throw new Malformed('an unknown label type');
    const end = offset + 1 + length;
    if (end > bytes.length) break;
    if (size + 1 + length >= MAX_NAME_BYTES) throw new Malformed('a name longer than 255 bytes');
    for (let at = offset + 1; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      plain &&= isHostByte(byte);
      text[size++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    }
    text[size++] = 0x2e;
    offset = end;
  }
  throw new Malformed('a name is cut short');
}
