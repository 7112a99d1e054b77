/**
 * Takes a request body out of the client's bytes, by the framing of its head, strictly (RFC 9112 section 7.1):
 * exactly the body, so that what follows is judged as a request of its own. Pure but for its own position.
 */
import { type Field, type Framing, type HeadFault, malformed, parseFields } from './head.ts';
import { PROXY_BOUNDS } from './limits.ts';

export type BodyStep =
  | { readonly kind: 'more'; readonly used: number; readonly data: readonly Buffer[] }
  | { readonly kind: 'done'; readonly used: number; readonly data: readonly Buffer[] }
  | { readonly kind: 'fault'; readonly fault: HeadFault };

const CHUNK_LINE = /^([0-9A-Fa-f]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/;
/** Fields that a trailer cannot carry (RFC 9110 section 6.5.1): framing, routing, authentication. */
const NOT_IN_TRAILERS = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'keep-alive',
  'max-forwards',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Trailer fields that may be passed on, in either direction. */
export function isTrailerField(key: string): boolean {
  return !NOT_IN_TRAILERS.has(key);
}

type State = 'data' | 'chunk-line' | 'chunk-end' | 'trailers' | 'done';

/** Holds the position in one body. `trailers` is filled once a step was `done`. */
export class BodyDecoder {
  #state: State;
  #left: number;
  readonly #chunked: boolean;
  readonly #trailerBytes: number;
  trailers: readonly Field[] = [];

  constructor(framing: Framing, trailerBytes: number) {
    this.#chunked = framing.kind === 'chunked';
    this.#left = framing.kind === 'length' ? framing.bytes : 0;
    this.#state = framing.kind === 'none' ? 'done' : framing.kind === 'chunked' ? 'chunk-line' : 'data';
    this.#trailerBytes = trailerBytes;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** Reads what it can of `bytes`; `used` of them are consumed, the rest is offered again with more behind it. */
  step(bytes: Buffer): BodyStep {
    const data: Buffer[] = [];
    let at = 0;
    while (this.#state !== 'done') {
      const rest = bytes.subarray(at);
      const used = this.#advance(rest, data);
      if (typeof used !== 'number') return { kind: 'fault', fault: used };
      if (used === 0) return { kind: 'more', used: at, data };
      at += used;
    }
    return { kind: 'done', used: at, data };
  }

  /** Bytes used; 0 when more are wanted. */
  #advance(bytes: Buffer, data: Buffer[]): number | HeadFault {
    switch (this.#state) {
      case 'data':
        return this.#readData(bytes, data);
      case 'chunk-line':
        return this.#readChunkLine(bytes);
      case 'chunk-end':
        return this.#readChunkEnd(bytes);
      case 'trailers':
        return this.#readTrailers(bytes);
      case 'done':
        return 0;
    }
  }

  #readData(bytes: Buffer, data: Buffer[]): number {
    const part = bytes.subarray(0, this.#left);
    if (part.length === 0) return 0;
    data.push(part);
    this.#left -= part.length;
    if (this.#left === 0) this.#state = this.#chunked ? 'chunk-end' : 'done';
    return part.length;
  }

  #readChunkLine(bytes: Buffer): number | HeadFault {
    const line = readLine(bytes, PROXY_BOUNDS.chunkLineBytes);
    if (typeof line !== 'string') return line ?? 0;
    const size = CHUNK_LINE.exec(line)?.[1];
    if (size === undefined) return malformed('a chunk size cannot be read');
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'data';
    return line.length + 2;
  }

  #readChunkEnd(bytes: Buffer): number | HeadFault {
    if (bytes.length > 0 && bytes[0] !== 0x0d) return malformed('a chunk is longer than its size');
    if (bytes.length < 2) return 0;
    if (bytes[1] !== 0x0a) return malformed('a chunk is longer than its size');
    this.#state = 'chunk-line';
    return 2;
  }

  #readTrailers(bytes: Buffer): number | HeadFault {
    const lines: string[] = [];
    let at = 0;
    for (;;) {
      const line = readLine(bytes.subarray(at), this.#trailerBytes - at);
      if (typeof line !== 'string') return line ?? 0;
      at += line.length + 2;
      if (line === '') break;
      lines.push(line);
    }
    const fields = parseFields(lines);
    if (!Array.isArray(fields)) return fields;
    if (fields.some((field) => !isTrailerField(field.key))) {
      return malformed('a trailer carries a field that trailers cannot');
    }
    this.trailers = fields;
    this.#state = 'done';
    return at;
  }
}

/** One line without its CRLF; null while its end has not come. */
function readLine(bytes: Buffer, limit: number): string | null | HeadFault {
  const end = bytes.indexOf(0x0a);
  if (end < 0) {
    return bytes.length <= limit
      ? null
      : { status: 413, reason: 'limit-size', detail: 'a chunk line is too long' };
  }
  if (end > limit) return { status: 413, reason: 'limit-size', detail: 'a chunk line is too long' };
  if (end === 0 || bytes[end - 1] !== 0x0d) return malformed('a chunk line ends in a bare LF');
  return bytes.toString('latin1', 0, end - 1);
}
