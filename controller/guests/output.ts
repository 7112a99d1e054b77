/**
 * What the guest's own commands printed: JSON Lines beside the audit log, written by the supervisor, bounded, read by
 * `sand logs`. Says nothing about what sand decided; that is the audit log.
 */
import { closeSync, openSync, readSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunPlace } from '../../audit/runs.ts';

export const OUTPUT_LIMITS = {
  /** Of each of the two files; the older one goes when the newer is full. */
  bytes: 32 * 1024 * 1024,
  /** Read at once; a line is a chunk of a pipe, 64 KiB, which escapes make six times as long at the most. */
  readBytes: 1024 * 1024,
  /** How often a follower looks for more. */
  followMs: 200,
} as const;

export type OutputStream = 'stdout' | 'stderr';

export interface OutputChunk {
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string;
  readonly stream: OutputStream;
  readonly bytes: Buffer;
}

export interface OutputLog {
  /** What cannot be written is lost to the log, and the guest goes on; gives why, the first time. */
  write(stream: OutputStream, chunk: Buffer): string | null;
  close(): void;
}

const paths = (run: RunPlace) => ({
  newer: join(run.directory, 'output.jsonl'),
  older: join(run.directory, 'output.1.jsonl'),
});

export function createOutputLog(
  run: RunPlace,
  limits: { readonly bytes: number } = OUTPUT_LIMITS,
): OutputLog {
  const { newer, older } = paths(run);
  let descriptor = openSync(newer, 'a', 0o600);
  let size = 0;
  let hasFailed = false;
  return {
    write(stream, chunk) {
      const line = Buffer.from(`${encodeChunk(stream, chunk, Date.now())}\n`);
      try {
        if (size > 0 && size + line.length > limits.bytes) {
          closeSync(descriptor);
          renameSync(newer, older);
          descriptor = openSync(newer, 'a', 0o600);
          size = 0;
        }
        writeSync(descriptor, line);
        size += line.length;
        return null;
      } catch (error) {
        if (hasFailed) return null;
        hasFailed = true;
        return error instanceof Error ? error.message : String(error);
      }
    },
    close: () => closeSync(descriptor),
  };
}

/** Text where the bytes are UTF-8, else base64: nothing that was printed changes. */
export function encodeChunk(stream: OutputStream, bytes: Buffer, timeMs: number): string {
  const text = bytes.toString('utf8');
  const said = Buffer.from(text).equals(bytes) ? { text } : { base64: bytes.toString('base64') };
  return JSON.stringify({ time: new Date(timeMs).toISOString(), stream, ...said });
}

/** Null for a line that is cut or none of ours. */
export function decodeChunk(line: string): OutputChunk | null {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return null;
    const { time, stream, text, base64 }: Partial<Record<string, unknown>> = { ...value };
    if (typeof time !== 'string' || (stream !== 'stdout' && stream !== 'stderr')) return null;
    if (typeof text === 'string') return { time, stream, bytes: Buffer.from(text) };
    return typeof base64 === 'string' ? { time, stream, bytes: Buffer.from(base64, 'base64') } : null;
  } catch {
    return null;
  }
}

/**
 * All that is there, oldest first; with `follow` what comes until that gives false. A file that was put aside meanwhile
 * is read to its end first.
 */
export async function* readOutput(
  run: RunPlace,
  follow: () => boolean = () => false,
): AsyncGenerator<OutputChunk> {
  const { newer, older } = paths(run);
  yield* chunksOf(older, 0);
  let read = 0;
  let inode = inodeOf(newer);
  for (;;) {
    // Asked first, so that what is written before the end is still read.
    const isGoingOn = follow();
    const now = inodeOf(newer);
    if (now !== inode) {
      yield* chunksOf(older, read);
      read = 0;
      inode = now;
    }
    for (const { chunk, end } of linesFrom(newer, read)) {
      read = end;
      if (chunk !== null) yield chunk;
    }
    if (!isGoingOn) return;
    await sleep(OUTPUT_LIMITS.followMs);
  }
}

function* chunksOf(path: string, from: number): Generator<OutputChunk> {
  for (const { chunk } of linesFrom(path, from)) if (chunk !== null) yield chunk;
}

/** Whole lines behind `from` bytes, and where each ends. Bounded by the size of a file. */
function* linesFrom(
  path: string,
  from: number,
): Generator<{ readonly chunk: OutputChunk | null; readonly end: number }> {
  let at = from;
  for (;;) {
    const bytes = bytesFrom(path, at);
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
      yield { chunk: decodeChunk(bytes.toString('utf8', start, end)), end: at + end + 1 };
      start = end + 1;
    }
    if (start === 0) return;
    at += start;
  }
}

/** Up to a read's length of them; none where the file is not there or ends. */
function bytesFrom(path: string, from: number): Buffer {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch {
    return Buffer.alloc(0);
  }
  try {
    const bytes = Buffer.allocUnsafe(OUTPUT_LIMITS.readBytes);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, from));
  } finally {
    closeSync(descriptor);
  }
}

function inodeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? null;
}
