/**
 * Reads a tar stream (ustar, pax, and GNU's long names) as a guest may have made it: bytes in, entries and contents
 * out, each bound held before anything is allocated. Decides no place on the host; that is `entry-path.ts`. Pure.
 */
import { SandError } from '../errors.ts';
import { COPY_LIMITS } from './limits.ts';

/** Bytes as they are in the archive, one character each (Latin-1): names need not be UTF-8. */
export type ByteText = string & { readonly brand: 'bytes' };

export interface TarEntry {
  readonly kind: 'file' | 'folder' | 'symlink' | 'hard-link' | 'special';
  readonly name: ByteText;
  /** Of a link; else empty. */
  readonly target: ByteText;
  /** Of a file; else 0. */
  readonly size: number;
  /** Permissions alone: no set-user-id, set-group-id or sticky bit is ever in it. */
  readonly mode: number;
  readonly mtimeSeconds: number;
}

export type TarEvent =
  | { readonly kind: 'entry'; readonly entry: TarEntry }
  /** Of the file that was named last. */
  | { readonly kind: 'data'; readonly bytes: Buffer }
  /** The file is whole. */
  | { readonly kind: 'file-end' };

interface Overrides {
  name?: ByteText;
  target?: ByteText;
  size?: number;
}

type Reading =
  | { readonly at: 'header' }
  | { readonly at: 'meta'; readonly type: string; readonly size: number; readonly chunks: Buffer[] }
  | { readonly at: 'content'; readonly isFile: boolean }
  | { readonly at: 'padding' }
  | { readonly at: 'end' };

const BLOCK = 512;
const KINDS: Readonly<Record<string, TarEntry['kind']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hard-link',
  '2': 'symlink',
  '5': 'folder',
};

export class TarReader {
  readonly #contentBytes: number;
  #reading: Reading = { at: 'header' };
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** Bytes of what is being read that have not come yet. */
  #left = 0;
  #padding = 0;
  #overrides: Overrides = {};
  #entries = 0;
  #content = 0;
  #emptyBlocks = 0;

  constructor(limits: { readonly contentBytes: number } = COPY_LIMITS) {
    this.#contentBytes = limits.contentBytes;
  }

  get isWhole(): boolean {
    return this.#reading.at === 'end';
  }

  /** Raises `copy-refused` for everything that is no such archive, or more of it than is allowed. */
  *read(chunk: Buffer): Generator<TarEvent> {
    let rest = chunk;
    while (rest.length > 0 && this.#reading.at !== 'end') {
      if (this.#reading.at === 'header') {
        const taken = rest.subarray(0, BLOCK - this.#partialBytes);
        rest = rest.subarray(taken.length);
        const block = this.#fill(taken);
        if (block !== null) yield* this.#header(block);
      } else {
        const taken = rest.subarray(0, this.#left);
        rest = rest.subarray(taken.length);
        this.#left -= taken.length;
        yield* this.#body(taken);
      }
    }
  }

  #fill(bytes: Buffer): Buffer | null {
    this.#partial.push(bytes);
    this.#partialBytes += bytes.length;
    if (this.#partialBytes < BLOCK) return null;
    const block = Buffer.concat(this.#partial);
    this.#partial = [];
    this.#partialBytes = 0;
    return block;
  }

  *#header(block: Buffer): Generator<TarEvent> {
    if (block.every((byte) => byte === 0)) {
      this.#emptyBlocks += 1;
      if (this.#emptyBlocks === 2) this.#reading = { at: 'end' };
      return;
    }
    if (this.#emptyBlocks > 0) throw refused('something follows its end');
    if (!hasChecksum(block)) throw refused('a header does not match its checksum');
    const type = block.toString('latin1', 156, 157);
    const size = numberAt(block, 124, 12);
    if ('xgLK'.includes(type)) {
      if (size > COPY_LIMITS.metaBytes) throw refused('an extended header is too long');
      this.#expect({ at: 'meta', type, size, chunks: [] }, size);
      if (size === 0) yield* this.#body(Buffer.alloc(0));
      return;
    }
    yield* this.#entry(block, type, size);
  }

  *#entry(block: Buffer, type: string, written: number): Generator<TarEvent> {
    this.#entries += 1;
    if (this.#entries > COPY_LIMITS.entries) throw refused(`more than ${COPY_LIMITS.entries} entries`);
    const { name = ustarName(block), target = textAt(block, 157, 100), size = written } = this.#overrides;
    this.#overrides = {};
    if (name.length > COPY_LIMITS.nameBytes || target.length > COPY_LIMITS.nameBytes)
      throw refused('a name is too long');
    // Some archives mark a folder by its name alone.
    const named = KINDS[type] ?? 'special';
    const kind = named === 'file' && name.endsWith('/') ? 'folder' : named;
    const isFile = kind === 'file';
    if (isFile) this.#content += size;
    if (this.#content > this.#contentBytes)
      throw refused(`more than ${this.#contentBytes} bytes of content`, 'allow more with --max-size');
    // POSIX gives links and folders no content, whatever their size says; anything else is passed over as it is.
    const content = isFile || kind === 'special' ? size : 0;
    const mode = numberAt(block, 100, 8) & 0o777;
    const entry = {
      kind,
      name,
      target,
      size: isFile ? size : 0,
      mode,
      mtimeSeconds: numberAt(block, 136, 12),
    };
    yield { kind: 'entry', entry };
    if (!isFile && content > this.#contentBytes) throw refused('an entry is too long');
    this.#expect({ at: 'content', isFile }, content);
    if (content === 0) yield* this.#body(Buffer.alloc(0));
  }

  #expect(reading: Reading, size: number): void {
    this.#reading = reading;
    this.#left = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
  }

  *#body(bytes: Buffer): Generator<TarEvent> {
    const reading = this.#reading;
    if (reading.at === 'content' && reading.isFile && bytes.length > 0) yield { kind: 'data', bytes };
    if (reading.at === 'meta') reading.chunks.push(bytes);
    if (this.#left > 0) return;
    if (reading.at === 'content' && reading.isFile) yield { kind: 'file-end' };
    if (reading.at === 'meta') this.#override(reading.type, Buffer.concat(reading.chunks));
    if (reading.at === 'padding' || this.#padding === 0) {
      this.#reading = { at: 'header' };
      return;
    }
    this.#reading = { at: 'padding' };
    this.#left = this.#padding;
  }

  #override(type: string, content: Buffer): void {
    if (type === 'L') this.#overrides.name = untilNul(content);
    if (type === 'K') this.#overrides.target = untilNul(content);
    if (type === 'x') Object.assign(this.#overrides, paxOverrides(content));
    // What holds for the whole archive names no entry: it is passed over.
  }
}

/** `LENGTH KEY=VALUE\n` repeated; the length is of the whole record. See pax(1), extended header. */
function paxOverrides(content: Buffer): Overrides {
  const found: Overrides = {};
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const digits = content.toString('latin1', at, space < 0 ? at : space);
    const length = /^[1-9]\d{0,6}$/.test(digits) ? Number(digits) : 0;
    const record = content.subarray(space + 1, at + length);
    const equals = record.indexOf(0x3d);
    if (length === 0 || at + length > content.length || equals < 1 || record.at(-1) !== 0x0a)
      throw refused('an extended header does not read');
    const key = record.toString('latin1', 0, equals);
    const value = record.toString('latin1', equals + 1, record.length - 1) as ByteText;
    if (value.includes('\0') && (key === 'path' || key === 'linkpath')) throw refused('a name holds a NUL');
    if (key === 'path') found.name = value;
    else if (key === 'linkpath') found.target = value;
    else if (key === 'size') found.size = wholeNumber(value);
    else if (key.startsWith('GNU.sparse.')) throw refused('a file is stored with holes');
    at += length;
  }
  return found;
}

function wholeNumber(text: string): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw refused('a number does not read');
}

/** Octal digits, or GNU's base 256 where the first bit is set. */
function numberAt(block: Buffer, at: number, length: number): number {
  const field = block.subarray(at, at + length);
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    // Negative ones are times before 1970.
    if (first === 0xff) return 0;
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, first & 0x7f);
    if (Number.isSafeInteger(value)) return value;
    throw refused('a number is too large');
  }
  const digits = /^ *([0-7]*)[ \0]*$/.exec(field.toString('latin1'))?.[1];
  if (digits === undefined) throw refused('a number does not read');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function ustarName(block: Buffer): ByteText {
  const name = textAt(block, 0, 100);
  // GNU's own format has times where ustar has the prefix.
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? textAt(block, 345, 155) : '';
  return (prefix === '' ? name : `${prefix}/${name}`) as ByteText;
}

function textAt(block: Buffer, at: number, length: number): ByteText {
  return untilNul(block.subarray(at, at + length));
}

function untilNul(bytes: Buffer): ByteText {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end) as ByteText;
}

/** The sum of the header's bytes, those of the sum itself counted as spaces. */
function hasChecksum(block: Buffer): boolean {
  const written = /^ *([0-7]{1,8})[ \0]*$/.exec(block.toString('latin1', 148, 156))?.[1];
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  return written !== undefined && Number.parseInt(written, 8) === sum;
}

export function refused(
  why: string,
  hint = 'look at what the guest holds there before you copy it',
): SandError {
  return new SandError('copy-refused', `what the guest sends is not taken: ${why}`, hint);
}
