/**
 * Cuts the files of a log into lines with bounded memory, batch by batch. Decides nothing about what a line says;
 * `read.ts`, `verify.ts` and the follower of `sand audit tail` stand on it.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { READ_LIMITS } from './limits.ts';
import { segmentPath } from './segments.ts';

export interface RawLine {
  /** From 1 in its file. */
  readonly line: number;
  /** Which file of the log, from 1. */
  readonly segment: number;
  /** Without the newline; null for a line over `READ_LIMITS.lineBytes`. Valid until the next batch is asked for. */
  readonly bytes: Buffer | null;
  /** Whether a newline ended it; only the last line of a file can lack one. */
  readonly terminated: boolean;
}

/** Turns chunks into lines; keeps at most one unfinished line of bounded length between chunks. */
export class LineCutter {
  #rest: Buffer[] = [];
  #restBytes = 0;
  #tooLong = false;
  #line = 0;
  readonly #segment: number;

  constructor(segment = 1) {
    this.#segment = segment;
  }

  /** The lines that this chunk ends. The chunk may be reused afterwards only if no line of it is kept. */
  push(chunk: Buffer): RawLine[] {
    const lines: RawLine[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      this.#keep(chunk.subarray(start, end), false);
      lines.push(this.#take(true));
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start), true);
    return lines;
  }

  /** What is left when the file ends: null when its last byte was a newline. */
  end(): RawLine | null {
    return this.#restBytes === 0 && !this.#tooLong ? null : this.#take(false);
  }

  #keep(part: Buffer, copy: boolean): void {
    if (this.#tooLong) return;
    if (this.#restBytes + part.length > READ_LIMITS.lineBytes) {
      this.#tooLong = true;
      this.#rest = [];
      this.#restBytes = 0;
      return;
    }
    if (part.length === 0) return;
    this.#rest.push(copy ? Buffer.from(part) : part);
    this.#restBytes += part.length;
  }

  #take(terminated: boolean): RawLine {
    this.#line += 1;
    const [only] = this.#rest;
    const whole = this.#rest.length === 1 && only !== undefined ? only : Buffer.concat(this.#rest);
    const bytes = this.#tooLong ? null : whole;
    this.#rest = [];
    this.#restBytes = 0;
    this.#tooLong = false;
    return { line: this.#line, segment: this.#segment, bytes, terminated };
  }
}

/** Opens a log to read: a plain file only, so that a FIFO or device in its place cannot hang or flood. */
export async function openLogFile(path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) throw new Error(`${path} is not a plain file`);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return handle;
}

/** The file that comes after another, where it is there. */
export async function openSegment(path: string, segment: number): Promise<FileHandle | null> {
  try {
    return await openLogFile(segmentPath(path, segment));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Every line of the log in batches, an unterminated last one of each file included. `path` is the first file's. Rejects when a
 * file cannot be read and with the signal's reason when it aborts.
 */
export async function* readLineBatches(
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<readonly RawLine[]> {
  const buffer = Buffer.allocUnsafe(READ_LIMITS.chunkBytes);
  let handle: FileHandle | null = await openLogFile(path);
  for (let segment = 1; handle !== null; segment++, handle = await openSegment(path, segment)) {
    try {
      yield* readSegment(handle, new LineCutter(segment), buffer, signal);
    } finally {
      await handle.close();
    }
  }
}

async function* readSegment(
  handle: FileHandle,
  cutter: LineCutter,
  buffer: Buffer,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly RawLine[]> {
  for (;;) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, buffer.length);
    if (bytesRead === 0) break;
    yield cutter.push(buffer.subarray(0, bytesRead));
  }
  const last = cutter.end();
  if (last !== null) yield [last];
}
