/** Reads a log that still grows, from its beginning to its seal. Decides when there is no more to wait for. */
import { setTimeout as delay } from 'node:timers/promises';
import { FOLLOW_LIMITS, READ_LIMITS } from './limits.ts';
import { LineCutter, openLogFile } from './lines.ts';
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

/** Rejects when the file cannot be opened or read. Looks at the file at a fixed pace, so that no event is missed. */
export async function* followAuditLog(path: string, options: FollowOptions = {}): AsyncGenerator<FollowStep> {
  const handle = await openLogFile(path);
  try {
    const cutter = new LineCutter();
    const buffer = Buffer.allocUnsafe(READ_LIMITS.chunkBytes);
    let offset = 0;
    let caughtUp = false;
    let abandoned = false;
    while (options.signal?.aborted !== true) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
      offset += bytesRead;
      if (bytesRead > 0) {
        const lines = cutter.push(buffer.subarray(0, bytesRead)).map(readRawLine);
        yield { kind: 'lines', lines };
        if (lines.some((line) => line.ok && line.event.kind === 'run-end')) return yield { kind: 'sealed' };
        continue;
      }
      if (!caughtUp) yield { kind: 'caught-up' };
      caughtUp = true;
      if ((await handle.stat()).size < offset) return yield { kind: 'shortened' };
      if (abandoned) {
        const rest = cutter.end();
        return yield { kind: 'abandoned', torn: rest === null ? null : readRawLine(rest) };
      }
      // Asked before the last look at the file, so that lines written just before the end are still told.
      abandoned = options.alive?.() === false;
      if (!abandoned && !(await pause(options.signal))) return;
    }
  } finally {
    await handle.close();
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
