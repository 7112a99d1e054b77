/**
 * Reads a log back as events, with bounded memory. Decides what counts as an event and what as a problem;
 * whether the chain holds is `verify.ts`.
 */
import type { AuditEvent } from './event.ts';
import { READ_LIMITS } from './limits.ts';
import { decodeLine, type LineProblem } from './line.ts';
import { type RawLine, readLineBatches } from './lines.ts';

export type ReadLine =
  | { readonly ok: true; readonly event: AuditEvent }
  | {
      readonly ok: false;
      /** From 1 in its file. */
      readonly line: number;
      /** Which file of the log, from 1. */
      readonly segment: number;
      readonly problem: LineProblem;
      /** One sentence; holds nothing of the line itself. */
      readonly detail: string;
    };

export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/**
 * Each line in order; a line that is not an event is told and the reading goes on. `torn` is said of an
 * unterminated last line only. Rejects when the file cannot be opened or read, or the signal aborts.
 */
export async function* readAuditLog(path: string, options: ReadOptions = {}): AsyncGenerator<ReadLine> {
  for await (const batch of readLineBatches(path, options.signal)) {
    for (const raw of batch) yield readRawLine(raw);
  }
}

/** One line as cut from the file. */
export function readRawLine(raw: RawLine): ReadLine {
  const { line, segment } = raw;
  if (raw.bytes === null) {
    const detail = `the line is longer than ${READ_LIMITS.lineBytes} bytes`;
    return { ok: false, line, segment, problem: 'too-long', detail };
  }
  if (!raw.terminated) {
    return {
      ok: false,
      line,
      segment,
      problem: 'torn',
      detail: 'the last line has no newline: its write was cut',
    };
  }
  const decoded = decodeLine(raw.bytes);
  return decoded.ok
    ? decoded
    : { ok: false, line, segment, problem: decoded.problem, detail: decoded.detail };
}
