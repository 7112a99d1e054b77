/** Reads a log that still grows, from its beginning to its seal. Decides when there is no more to wait for. */
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { FOLLOW_LIMITS, READ_LIMITS } from './limits.ts';
import { LineCutter, openLogFile, openSegment, type RawLine } from './lines.ts';
import { type ReadLine, readRawLine } from './read.ts';

export interface FollowOptions {
  /** Ends the following without an error. */
  readonly signal?: AbortSignal;
  /** Whether the run's supervisor still lives; asked when the log stands still. Without it, only seal and signal end. */
  readonly alive?: () => boolean;
}

export type FollowStep =
  | { readonly kind: 'lines'; readonly lines: readonly ReadLine[] }
  /** Everything that was there at the start has been told; what comes now is new. */
  | { readonly kind: 'caught-up' }
  | { readonly kind: 'sealed' }
  /** The supervisor is gone and the log has no seal. `torn` is what stands after the last newline. */
  | { readonly kind: 'abandoned'; readonly torn: ReadLine | null }
  /** The file became shorter while it was read: nothing after this can be trusted. */
  | { readonly kind: 'shortened' };

/** Rejects when a file cannot be opened or read. Looks at a fixed pace, so that no event is missed. */
export async function* followAuditLog(path: string, options: FollowOptions = {}): AsyncGenerator<FollowStep> {
  const log = new GrowingLog(path, await openLogFile(path));
  try {
    let caughtUp = false;
    let abandoned = false;
    while (options.signal?.aborted !== true) {
      const cut = await log.read();
      if (cut !== null) {
        const lines = cut.map(readRawLine);
        yield { kind: 'lines', lines };
        if (lines.some((line) => line.ok && line.event.kind === 'run-end')) return yield { kind: 'sealed' };
        continue;
      }
      if (!caughtUp) yield { kind: 'caught-up' };
      caughtUp = true;
      if (await log.isShorter()) return yield { kind: 'shortened' };
      if (abandoned) {
        const rest = log.rest();
        return yield { kind: 'abandoned', torn: rest === null ? null : readRawLine(rest) };
      }
      // Asked before the last look at the file, so that lines written just before the end are still told.
      abandoned = options.alive?.() === false;
      if (!abandoned && !(await pause(options.signal))) return;
    }
  } finally {
    await log.close();
  }
}

/** The files of a log, one after the other, as far as they have been written. */
class GrowingLog {
  readonly #path: string;
  readonly #buffer = Buffer.allocUnsafe(READ_LIMITS.chunkBytes);
  #segment = 1;
  #cutter = new LineCutter();
  #offset = 0;
  #handle: FileHandle;
  #next: FileHandle | null = null;

  constructor(path: string, first: FileHandle) {
    this.#path = path;
    this.#handle = first;
  }

  /** Null: there is nothing more yet. */
  async read(): Promise<readonly RawLine[] | null> {
    for (;;) {
      const { bytesRead } = await this.#handle.read(this.#buffer, 0, this.#buffer.length, this.#offset);
      this.#offset += bytesRead;
      if (bytesRead > 0) return this.#cutter.push(this.#buffer.subarray(0, bytesRead));
      if (this.#next !== null) {
        const rest = await this.#moveOn(this.#next);
        if (rest !== null) return [rest];
        continue;
      }
      // The writer is done with a file before it begins the next: so once that is seen, this one is read to its end.
      this.#next = await openSegment(this.#path, this.#segment + 1);
      if (this.#next === null) return null;
    }
  }

  async #moveOn(next: FileHandle): Promise<RawLine | null> {
    const rest = this.rest();
    await this.#handle.close();
    this.#handle = next;
    this.#next = null;
    this.#segment += 1;
    this.#offset = 0;
    this.#cutter = new LineCutter(this.#segment);
    return rest;
  }

  async isShorter(): Promise<boolean> {
    return (await this.#handle.stat()).size < this.#offset;
  }

  /** What stands after the last newline. */
  rest(): RawLine | null {
    return this.#cutter.end();
  }

  async close(): Promise<void> {
    await this.#handle.close();
    await this.#next?.close();
  }
}

async function pause(signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await delay(FOLLOW_LIMITS.pollMs, undefined, signal === undefined ? {} : { signal });
    return true;
  } catch {
    return false;
  }
}
