/** Reads one log to its end and keeps what a report needs: header, rows, findings, bad lines. Bounded memory. */
import type { AuditEvent } from './event.ts';
import { type InboundRow, InboundSummary } from './inbound.ts';
import { READ_LIMITS } from './limits.ts';
import { type ReadLine, type ReadOptions, readAuditLog } from './read.ts';
import { type Criteria, EVERYTHING, Selection } from './selection.ts';
import { type FoldOptions, Summary, type SummaryOptions, type SummaryRows } from './summary.ts';

type EventOf<K extends AuditEvent['kind']> = Extract<AuditEvent, { kind: K }>;
export type LineFault = Extract<ReadLine, { ok: false }>;

export interface Overview extends SummaryRows {
  readonly start: EventOf<'run-start'> | null;
  readonly end: EventOf<'run-end'> | null;
  readonly events: number;
  /** Later phases that the guest came to: a policy has few. */
  readonly phases: readonly EventOf<'phase'>[];
  readonly failedProbes: readonly EventOf<'probe'>[];
  /** The first few, and how many there are in all. */
  readonly notices: readonly EventOf<'notice'>[];
  readonly noticeCount: number;
  /** The first lines that are no events, and how many there are in all. */
  readonly faults: readonly LineFault[];
  readonly faultCount: number;
  /** What came in over published ports. */
  readonly inbound: readonly InboundRow[];
}

export interface OverviewOptions extends ReadOptions, SummaryOptions, FoldOptions {
  /** What the rows count; what is said of the run itself is of the whole log. Default: everything. */
  readonly criteria?: Criteria;
}

/** Rejects when the file cannot be read, or the signal aborts. */
export async function readOverview(path: string, options: OverviewOptions = {}): Promise<Overview> {
  const { criteria = EVERYTHING } = options;
  const summary = new Summary(options);
  const inbound = new InboundSummary();
  const selection = new Selection(criteria, 'with its connection');
  let start: Overview['start'] = null;
  let end: Overview['end'] = null;
  let events = 0;
  let faultCount = 0;
  let noticeCount = 0;
  const failedProbes: EventOf<'probe'>[] = [];
  const notices: EventOf<'notice'>[] = [];
  const faults: LineFault[] = [];
  const phases: EventOf<'phase'>[] = [];
  for await (const line of readAuditLog(path, options)) {
    if (!line.ok) {
      faultCount += 1;
      if (faults.length < READ_LIMITS.problems) faults.push(line);
      continue;
    }
    const { event } = line;
    events += 1;
    if (selection.has(event)) {
      summary.add(event);
      inbound.add(event);
    }
    switch (event.kind) {
      case 'run-start':
        start ??= event;
        break;
      case 'run-end':
        end = event;
        break;
      case 'probe':
        if (!event.passed && failedProbes.length < READ_LIMITS.problems) failedProbes.push(event);
        break;
      case 'phase':
        if (phases.length < READ_LIMITS.problems) phases.push(event);
        break;
      case 'notice':
        noticeCount += 1;
        if (notices.length < READ_LIMITS.problems) notices.push(event);
        break;
      default:
        break;
    }
  }
  const { bytesOver } = criteria;
  const isLarge = (row: { readonly bytesOut: number; readonly bytesIn: number }) =>
    bytesOver === null || row.bytesOut + row.bytesIn > bytesOver;
  const large = summary.rows({ muted: true }).rows.filter(isLarge);
  const hidden = options.muted === true ? [] : large.filter(({ muted }) => muted);
  return {
    rows: options.muted === true ? large : large.filter(({ muted }) => !muted),
    mutedCount: hidden.reduce((sum, { count }) => sum + count, 0),
    inbound: inbound.rows().filter(isLarge),
    ...{ start, end, events, phases, failedProbes, notices, noticeCount, faults, faultCount },
  };
}
