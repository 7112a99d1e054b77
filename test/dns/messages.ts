/** Builds and reads DNS messages byte by byte, apart from the code under test. */

export interface QueryShape {
  readonly id?: number;
  readonly flags?: number;
  readonly type?: number;
  readonly class?: number;
  /** Payload size; absent: no EDNS. */
  readonly edns?: number;
  readonly ednsVersion?: number;
  readonly counts?: readonly [number, number, number, number];
  readonly tail?: Buffer;
}

export function u16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2);
  return bytes;
}

/** Labels as raw bytes, so that a test can put anything into one. */
export function wireName(labels: string | readonly string[]): Buffer {
  const list = typeof labels === 'string' ? labels.split('.').filter((label) => label !== '') : labels;
  const parts = list.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]);
  return Buffer.concat([...parts, Buffer.from([0])]);
}

export function opt(size: number, version = 0, options: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from([0]), u16(41, size, version, 0, options.length), options]);
}

export function query(name: string | readonly string[], shape: QueryShape = {}): Buffer {
  const additional = shape.edns === undefined ? Buffer.alloc(0) : opt(shape.edns, shape.ednsVersion);
  const counts = shape.counts ?? [1, 0, 0, shape.edns === undefined ? 0 : 1];
  return Buffer.concat([
    u16(shape.id ?? 0x1234, shape.flags ?? 0x0100, ...counts),
    wireName(name),
    u16(shape.type ?? 1, shape.class ?? 1),
    additional,
    shape.tail ?? Buffer.alloc(0),
  ]);
}

export interface RecordShape {
  readonly name: string | readonly string[];
  readonly type: number;
  readonly ttl?: number;
  readonly data: Buffer;
}

export function a(name: string, address: string, ttl = 300): RecordShape {
  return { name, type: 1, ttl, data: Buffer.from(address.split('.').map(Number)) };
}

export function aaaa(name: string, last: number, ttl = 300): RecordShape {
  return { name, type: 28, ttl, data: Buffer.concat([u16(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)]) };
}

export function cname(name: string, target: string | readonly string[], ttl = 300): RecordShape {
  return { name, type: 5, ttl, data: wireName(target) };
}

export function soa(name: string, minimum: number, ttl = 3600): RecordShape {
  const numbers = Buffer.concat([u16(0, 1, 0, 2, 0, 3, 0, 4), u16(0, minimum)]);
  return {
    name,
    type: 6,
    ttl,
    data: Buffer.concat([wireName('ns.example'), wireName('root.example'), numbers]),
  };
}

export interface ReplyShape {
  readonly rcode?: number;
  readonly truncated?: boolean;
  readonly answers?: readonly RecordShape[];
  readonly authority?: readonly RecordShape[];
  readonly id?: number;
  readonly question?: Buffer;
}

/** A reply to a query's bytes, with its question section. */
export function reply(asked: Buffer, shape: ReplyShape = {}): Buffer {
  const { answers = [], authority = [] } = shape;
  const flags = 0x8180 | (shape.truncated ? 0x0200 : 0) | (shape.rcode ?? 0);
  return Buffer.concat([
    u16(shape.id ?? asked.readUInt16BE(0), flags, 1, answers.length, authority.length, 0),
    shape.question ?? asked.subarray(12, questionEnd(asked)),
    ...[...answers, ...authority].map(wireRecord),
  ]);
}

function wireRecord(record: RecordShape): Buffer {
  const ttl = Buffer.alloc(4);
  ttl.writeUInt32BE(record.ttl ?? 300);
  return Buffer.concat([
    wireName(record.name),
    u16(record.type, 1),
    ttl,
    u16(record.data.length),
    record.data,
  ]);
}

function nameEnd(bytes: Buffer, start: number): number {
  let offset = start;
  while (offset < bytes.length) {
    const length = bytes.readUInt8(offset);
    if (length === 0) return offset + 1;
    if (length >= 0xc0) return offset + 2;
    offset += 1 + length;
  }
  throw new Error('no end of name');
}

function questionEnd(bytes: Buffer): number {
  return nameEnd(bytes, 12) + 4;
}

export function askedName(bytes: Buffer): string {
  return bytes
    .subarray(12, nameEnd(bytes, 12))
    .toString('latin1')
    .replace(/[\x01-\x1f]/g, '.')
    .replace(/\0/g, '')
    .slice(1);
}

export function askedType(bytes: Buffer): number {
  return bytes.readUInt16BE(questionEnd(bytes) - 4);
}

export interface ReadResponse {
  readonly id: number;
  readonly flags: number;
  readonly rcode: number;
  readonly truncated: boolean;
  readonly recursionAvailable: boolean;
  /** As it stands in the question section, in its case; null where there is none. */
  readonly name: string | null;
  readonly answers: readonly { readonly type: number; readonly ttl: number; readonly data: string }[];
  readonly edns: {
    readonly size: number;
    readonly error: { readonly code: number; readonly text: string } | null;
  } | null;
}

export function readResponse(bytes: Buffer): ReadResponse {
  const flags = bytes.readUInt16BE(2);
  const questions = bytes.readUInt16BE(4);
  let offset = questions === 0 ? 12 : questionEnd(bytes);
  const answers: { type: number; ttl: number; data: string }[] = [];
  let edns: ReadResponse['edns'] = null;
  const total = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10);
  for (let index = 0; index < total; index += 1) {
    const fixed = nameEnd(bytes, offset);
    const type = bytes.readUInt16BE(fixed);
    const end = fixed + 10 + bytes.readUInt16BE(fixed + 8);
    const data = bytes.subarray(fixed + 10, end);
    if (type === 41) edns = { size: bytes.readUInt16BE(fixed + 2), error: readError(data) };
    else answers.push({ type, ttl: bytes.readUInt32BE(fixed + 4), data: showData(type, data) });
    offset = end;
  }
  if (offset !== bytes.length) throw new Error('bytes after the last record');
  return {
    id: bytes.readUInt16BE(0),
    flags,
    rcode: flags & 0xf,
    truncated: (flags & 0x0200) !== 0,
    recursionAvailable: (flags & 0x0080) !== 0,
    name: questions === 0 ? null : askedName(bytes),
    answers,
    edns,
  };
}

function readError(options: Buffer): { code: number; text: string } | null {
  if (options.length < 6 || options.readUInt16BE(0) !== 15) return null;
  return { code: options.readUInt16BE(4), text: options.toString('utf8', 6, 4 + options.readUInt16BE(2)) };
}

function showData(type: number, data: Buffer): string {
  if (type === 1) return Array.from(data).join('.');
  return data.toString('hex');
}
