/**
 * Hosts by requests, bytes and denials: what `sand audit top` prints and the page draws, counted in one place so
 * that the two never differ. Decides what counts for a host; what a request is, and what became of it, is decided
 * in `summary.ts`. Pure.
 */
import type { AuditEvent } from './event.ts';
import { SUMMARY_LIMITS } from './limits.ts';
import { OTHER_HOSTS, type Row, type RowVerdict, Summary } from './summary.ts';

export interface TopRow {
  /** A name or an address as judged; `OTHER_HOSTS` for what got no row of its own. */
  readonly host: string;
  /** The sum of the four verdicts: connections and attempts; of a name that was only looked up, its questions. */
  readonly requests: number;
  readonly denied: number;
  readonly wouldBeDenied: number;
  readonly failed: number;
  readonly allowed: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  /** DNS questions, whether or not a connection followed. */
  readonly lookups: number;
  /** RFC 3339, of the first and the last event. */
  readonly first: string;
  readonly last: string;
}

/** `denied` counts what would have been denied, too. */
export type TopOrder = 'requests' | 'bytes' | 'denied';

export const TOP_ORDERS: readonly TopOrder[] = ['requests', 'bytes', 'denied'];

export interface TopOptions {
  /** Default: `requests`. */
  readonly by?: TopOrder;
  /** How many rows; all without it. */
  readonly limit?: number;
  /** Count what the policy mutes, too. */
  readonly muted?: boolean;
}

export interface TopResult {
  readonly rows: readonly TopRow[];
  /** How many there are without the limit. */
  readonly hosts: number;
  /** Requests that mute rules keep out of the rows. */
  readonly mutedCount: number;
}

type Draft = { -readonly [K in keyof TopRow]: TopRow[K] };

const COUNTERS: Readonly<Record<RowVerdict, 'denied' | 'wouldBeDenied' | 'failed' | 'allowed'>> = {
  denied: 'denied',
  'would-be-denied': 'wouldBeDenied',
  failed: 'failed',
  allowed: 'allowed',
};

/**
 * Events of one run, or of several one after another, in; rows out, in bounded memory however many there are. What a
 * person asked on the host does not count.
 */
export class TopHosts {
  #summary = new Summary();
  /** Of the runs before the present one. */
  readonly #before = { shown: new HostRows(), muted: new HostRows() };

  /** In the order of the log. A `run-start` begins another run, whose connections have numbers of their own. */
  add(event: AuditEvent): void {
    if (event.kind === 'run-start') this.#settle();
    this.#summary.add(event);
  }

  /** The rows so far; more events may follow. */
  result(options: TopOptions = {}): TopResult {
    const { rows } = this.#summary.rows({ muted: true });
    const shown = this.#before.shown.copy();
    const muted = this.#before.muted.copy();
    for (const row of ofGuests(rows)) (row.muted ? muted : shown).add(row);
    const mutedCount = options.muted === true ? 0 : muted.requests();
    if (options.muted === true) shown.join(muted);
    const sorted = shown.all().sort(compareBy(options.by ?? 'requests'));
    return { rows: sorted.slice(0, options.limit), hosts: sorted.length, mutedCount };
  }

  #settle(): void {
    for (const row of ofGuests(this.#summary.rows({ muted: true }).rows))
      (row.muted ? this.#before.muted : this.#before.shown).add(row);
    this.#summary = new Summary();
  }
}

/** The same of rows that are there already, such as those of an overview. Muted rows count where they are given. */
export function topOfRows(rows: readonly Row[], options: Omit<TopOptions, 'muted'> = {}): readonly TopRow[] {
  const hosts = new HostRows();
  for (const row of ofGuests(rows)) hosts.add(row);
  return hosts
    .all()
    .sort(compareBy(options.by ?? 'requests'))
    .slice(0, options.limit);
}

function ofGuests(rows: readonly Row[]): readonly Row[] {
  return rows.filter(({ asker }) => asker === 'guest');
}

class HostRows {
  readonly #drafts = new Map<string, Draft>();

  add(row: Row): void {
    const counts = { denied: 0, wouldBeDenied: 0, failed: 0, allowed: 0, [COUNTERS[row.verdict]]: row.count };
    const { host, bytesOut, bytesIn, questions: lookups, first, last } = row;
    this.#addTo({ host, requests: row.count, ...counts, bytesOut, bytesIn, lookups, first, last });
  }

  join(other: HostRows): void {
    for (const row of other.#drafts.values()) this.#addTo(row);
  }

  copy(): HostRows {
    const copy = new HostRows();
    copy.join(this);
    return copy;
  }

  all(): TopRow[] {
    return [...this.#drafts.values()];
  }

  requests(): number {
    return this.all().reduce((sum, { requests }) => sum + requests, 0);
  }

  #addTo(row: TopRow): void {
    const isFull = this.#drafts.size >= SUMMARY_LIMITS.rows && !this.#drafts.has(row.host);
    const host = isFull ? OTHER_HOSTS : row.host;
    const draft = this.#drafts.get(host);
    if (draft === undefined) {
      this.#drafts.set(host, { ...row, host });
      return;
    }
    draft.requests += row.requests;
    draft.denied += row.denied;
    draft.wouldBeDenied += row.wouldBeDenied;
    draft.failed += row.failed;
    draft.allowed += row.allowed;
    draft.bytesOut += row.bytesOut;
    draft.bytesIn += row.bytesIn;
    draft.lookups += row.lookups;
    if (row.first < draft.first) draft.first = row.first;
    if (row.last > draft.last) draft.last = row.last;
  }
}

/** Most first; of equal ones the other figures decide, then the name, so that the order is the same everywhere. */
function compareBy(by: TopOrder): (a: TopRow, b: TopRow) => number {
  const orders = [by, ...TOP_ORDERS.filter((order) => order !== by)];
  return (a, b) => {
    for (const order of orders) {
      const difference = figureOf(b, order) - figureOf(a, order);
      if (difference !== 0) return difference;
    }
    return a.host < b.host ? -1 : a.host > b.host ? 1 : 0;
  };
}

function figureOf(row: TopRow, by: TopOrder): number {
  switch (by) {
    case 'requests':
      return row.requests;
    case 'bytes':
      return row.bytesOut + row.bytesIn;
    case 'denied':
      return row.denied + row.wouldBeDenied;
  }
}
