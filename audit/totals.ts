/** What the seal of a log says of its run: requests by what became of them, folded as a report folds them. Pure. */
import type { RunTotals } from './event.ts';
import { TOTALS_LIMITS } from './limits.ts';
import type { Row, RowVerdict, SummaryRows } from './summary.ts';

/** Of rows without what is muted. Questions that the host asked do not count. */
export function totalsOf({ rows, mutedCount }: SummaryRows): RunTotals {
  const ours = rows.filter(({ asker }) => asker === 'guest');
  const count = (verdict: RowVerdict) =>
    sumOf(
      ours.filter((row) => row.verdict === verdict),
      'count',
    );
  const denied = ours.filter(({ verdict }) => verdict === 'denied' || verdict === 'would-be-denied');
  return {
    denied: count('denied'),
    wouldBeDenied: count('would-be-denied'),
    failed: count('failed'),
    allowed: count('allowed'),
    muted: mutedCount,
    bytesOut: sumOf(ours, 'bytesOut'),
    bytesIn: sumOf(ours, 'bytesIn'),
    // Rows come sorted by verdict and count.
    topDenied: denied
      .slice(0, TOTALS_LIMITS.topDenied)
      .map(({ host, port, count: times }) => ({ host, port, count: times })),
  };
}

function sumOf(rows: readonly Row[], field: 'count' | 'bytesOut' | 'bytesIn'): number {
  return rows.reduce((sum, row) => sum + row[field], 0);
}
