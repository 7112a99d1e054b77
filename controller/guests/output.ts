/**
 * What the guest's own commands printed: JSON Lines beside the audit log, written by the supervisor, bounded, read by
 * `sand logs`. Says nothing about what sand decided; that is the audit log.
 */
import { closeSync, fstatSync, openSync, readSync, renameSync, statSync, writeSync } from 'node:fs';
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
 * All that is there, oldest first; with `follow` what comes until that gives false. A file is held open until it is read
 * to its end, so that nothing is lost or said twice when it is put aside or replaced meanwhile.
 */
export async function* readOutput(
  run: RunPlace,
  follow: () => boolean = () => false,
): AsyncGenerator<OutputChunk> {
  let file = openOutput(paths(run).older) ?? openOutput(paths(run).newer);
  try {
    for (;;) {
      // Asked first, so that what is written before the end is still read.
      const isGoingOn = follow();
      for (; file !== null; file = fileAfter(run, file)) {
        const isFinal = inodeOf(paths(run).newer) !== file.inode;
        yield* newChunks(file);
        if (!isFinal) break;
      }
      file ??= openOutput(paths(run).newer);
      if (!isGoingOn) return;
      await sleep(OUTPUT_LIMITS.followMs);
    }
  } finally {
    if (file !== null) closeSync(file.descriptor);
  }
}

interface OutputFile {
  readonly descriptor: number;
  readonly inode: number;
  /** Up to where its lines have been read. */
  read: number;
}

function openOutput(path: string): OutputFile | null {
  try {
    const descriptor = openSync(path, 'r');
    return { descriptor, inode: fstatSync(descriptor).ino, read: 0 };
  } catch {
    return null;
  }
}

/** How often the two files may be put aside while the next of them is looked for. */
const ROTATIONS_AT_ONCE = 16;

/** Of one that is not written any more, which is closed. Null: the next has not been made yet. */
function fileAfter(run: RunPlace, done: OutputFile): OutputFile | null {
  const { newer, older } = paths(run);
  try {
    for (let attempt = 1; ; attempt++) {
      const aside = inodeOf(older);
      const next = openOutput(aside === done.inode ? newer : older) ?? openOutput(newer);
      if (inodeOf(older) === aside || attempt >= ROTATIONS_AT_ONCE) return next;
      if (next !== null) closeSync(next.descriptor);
    }
  } finally {
    closeSync(done.descriptor);
  }
}

/** Of whole lines. Bounded by the size of a file. */
function* newChunks(file: OutputFile): Generator<OutputChunk> {
  const bytes = Buffer.allocUnsafe(OUTPUT_LIMITS.readBytes);
  for (;;) {
    const text = bytes.subarray(0, readSync(file.descriptor, bytes, 0, bytes.length, file.read));
    let start = 0;
    for (let end = text.indexOf(0x0a); end >= 0; end = text.indexOf(0x0a, start)) {
      const chunk = decodeChunk(text.toString('utf8', start, end));
      start = end + 1;
      if (chunk !== null) yield chunk;
    }
    if (start === 0) return;
    file.read += start;
  }
}

function inodeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? null;
}
