/**
 * What a list of runs shows of each: from the ends of its log where the seal holds totals, else by reading the log
 * whole, as long as the listing may. Decides nothing about which runs are shown.
 */
import { lstat } from 'node:fs/promises';
import { readLogEnds } from './ends.ts';
import type { RunTotals } from './event.ts';
import { RUNS_LIMITS } from './limits.ts';
import { readOverview } from './overview.ts';
import type { ReadOptions } from './read.ts';
import type { RunPlace } from './runs.ts';
import { listSegments, segmentPath } from './segments.ts';
import { totalsOf } from './totals.ts';

export interface ListedRun {
  readonly run: string;
  /** What people call the guest: its name, else the run. */
  readonly guest: string;
  readonly started: string | null;
  /** When the last event was written. */
  readonly last: string | null;
  readonly policy: string | null;
  readonly mode: string | null;
  /** Null where the log has no seal. */
  readonly exitCode: number | null;
  readonly durationMs: number | null;
  readonly events: number | null;
  readonly command: readonly string[];
  /** Null where the log has none and was not read whole. */
  readonly totals: RunTotals | null;
}

/** Whole logs that a listing may still read. */
export interface ReadingBudget {
  bytes: number;
}

export function newReadingBudget(): ReadingBudget {
  return { bytes: RUNS_LIMITS.wholeBytes };
}

/** A run without a readable log is listed all the same: `sand audit show` says what is wrong with it. */
export async function listRun(
  run: RunPlace,
  budget: ReadingBudget,
  options: ReadOptions = {},
): Promise<ListedRun> {
  const { first, last } = await readEndsOrNothing(run);
  const start = first?.kind === 'run-start' ? first : null;
  const end = last?.kind === 'run-end' ? last : null;
  const lasted = start === null || last === null ? null : Date.parse(last.time) - Date.parse(start.time);
  return {
    run: run.id,
    guest: start?.name ?? run.id,
    started: start?.time ?? null,
    last: last?.time ?? null,
    policy: start?.policy.name ?? null,
    mode: start?.policy.mode ?? null,
    exitCode: end?.exitCode ?? null,
    durationMs: end?.durationMs ?? lasted,
    events: last?.seq ?? null,
    command: start?.command ?? [],
    totals: end?.totals ?? (start === null ? null : await totalsByReading(run, budget, options)),
  };
}

async function readEndsOrNothing(run: RunPlace): ReturnType<typeof readLogEnds> {
  try {
    return await readLogEnds(run.auditPath);
  } catch {
    return { first: null, last: null };
  }
}

async function totalsByReading(
  run: RunPlace,
  budget: ReadingBudget,
  options: ReadOptions,
): Promise<RunTotals | null> {
  try {
    const bytes = await logBytes(run);
    if (bytes > budget.bytes) return null;
    budget.bytes -= bytes;
    const overview = await readOverview(run.auditPath, options);
    return totalsOf(overview);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof Error) return null;
    throw error;
  }
}

/** Of all its files. */
async function logBytes({ auditPath }: RunPlace): Promise<number> {
  let bytes = 0;
  for (const segment of await listSegments(auditPath))
    bytes += (await lstat(segmentPath(auditPath, segment))).size;
  return bytes;
}
