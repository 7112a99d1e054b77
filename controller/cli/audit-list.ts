/** `sand audit ls`: the runs on record, the newest of those that fit, oldest first. */
import { RUNS_LIMITS } from '../../audit/limits.ts';
import { type ListedRun, listRun, newReadingBudget } from '../../audit/run-listing.ts';
import { formatRuns, type ShownRun } from '../../audit/run-table.ts';
import { auditRoot, listRuns, type RunPlace } from '../../audit/runs.ts';
import { type AuditOutput, jsonLine, signalOf } from './audit-output.ts';

export interface ListOptions extends AuditOutput {
  /** Runs that wrote an event at this time or later; milliseconds since the epoch. */
  readonly sinceMs?: number | undefined;
  /** Runs in which something was denied, or in report mode would have been. */
  readonly denied?: boolean;
  readonly guest?: string | undefined;
  /** Default: `RUNS_LIMITS.shown`. */
  readonly limit?: number | undefined;
  /** Whether that run's supervisor still lives. */
  readonly alive?: (run: RunPlace) => boolean;
}

export async function auditList(options: ListOptions): Promise<number> {
  const { json, write, limit = RUNS_LIMITS.shown } = options;
  const runs = await listRuns(auditRoot(options.env));
  const budget = newReadingBudget();
  const shown: ShownRun[] = [];
  let looked = 0;
  for (const place of runs.toReversed()) {
    if (shown.length >= limit) break;
    looked += 1;
    const listed = await listRun(place, budget, signalOf(options));
    if (isShown(listed, options)) shown.push({ ...listed, running: isRunning(place, listed, options) });
  }
  shown.reverse();
  if (json) for (const run of shown) write(jsonLine(run));
  else write(describe(shown, runs.length - looked, options));
  return 0;
}

function isShown({ last, guest, run, totals }: ListedRun, options: ListOptions): boolean {
  const { sinceMs, denied, guest: wanted } = options;
  if (sinceMs !== undefined && (last === null || Date.parse(last) < sinceMs)) return false;
  if (wanted !== undefined && wanted !== guest && wanted !== run) return false;
  return denied !== true || (totals !== null && totals.denied + totals.wouldBeDenied > 0);
}

/** A sealed run is over, whoever still tidies up after it. */
function isRunning(place: RunPlace, listed: ListedRun, { alive }: ListOptions): boolean {
  return listed.exitCode === null && alive?.(place) === true;
}

function describe(shown: readonly ShownRun[], older: number, options: ListOptions): string {
  const isFiltered = options.denied === true || options.sinceMs !== undefined || options.guest !== undefined;
  if (shown.length === 0) return isFiltered ? 'No runs that fit.\n' : 'No runs yet.\n';
  const table = formatRuns(shown, options.terminal);
  const what = older === 1 ? '1 older run is' : `${older} older runs are`;
  return older > 0 ? `${table}${what} not ${isFiltered ? 'looked at' : 'shown'} (--limit)\n` : table;
}
