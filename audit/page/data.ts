/**
 * Events of one run or several in, the data of a page out, in bounded memory: charts and counts cover everything,
 * the list what `kept.ts` keeps. Decides nothing about what a request is; `top.ts` and `summary.ts` do. Pure.
 */
import type { AuditEvent } from '../event.ts';
import { rowVerdict } from '../summary.ts';
import { TopHosts, type TopRow } from '../top.ts';
import { KeptEvents } from './kept.ts';
import { PAGE_LIMITS } from './limits.ts';
import type { PageChain, PageEvent, PageFinding, PageRun, PageSummary, PageTotals } from './model.ts';
import { Names } from './names.ts';
import { Timeline } from './timeline.ts';

export interface PageData {
  readonly summary: PageSummary;
  /** In the order of the logs. */
  readonly events: readonly PageEvent[];
}

export interface PageOptions {
  /** Version of sand. */
  readonly sand: string;
  /** RFC 3339. */
  readonly madeAt: string;
  /** Entries of the list; default: `PAGE_LIMITS.events`. */
  readonly limit?: number;
}

interface RunDraft {
  readonly id: string;
  start: Extract<AuditEvent, { kind: 'run-start' }> | null;
  end: Extract<AuditEvent, { kind: 'run-end' }> | null;
  readonly timeline: Timeline;
  readonly findings: PageFinding[];
  findingCount: number;
  events: number;
  chain: PageChain | null;
}

/** Call order: `beginRun`, then `add` and `addFault` in the order of its log, `endRun`, and so on; `data` any time. */
export class PageBuilder {
  readonly #options: PageOptions;
  readonly #runs: RunDraft[] = [];
  readonly #top = new TopHosts();
  readonly #names = new Names();
  readonly #kept: KeptEvents;

  constructor(options: PageOptions) {
    this.#options = options;
    this.#kept = new KeptEvents(options.limit);
  }

  /** Gives the index that entries of this run carry. Oldest run first. */
  beginRun(id: string): number {
    this.#kept.nextRun();
    const fresh = { id, start: null, end: null, findings: [], findingCount: 0, events: 0, chain: null };
    return this.#runs.push({ ...fresh, timeline: new Timeline() }) - 1;
  }

  add(event: AuditEvent): void {
    const run = this.#run();
    run.events += 1;
    this.#top.add(event);
    if (event.kind === 'close') {
      const connection = this.#kept.close(event);
      if (connection !== null) this.#names.closed(connection, event);
      return;
    }
    this.#kept.add(event, this.#runs.length - 1);
    this.#count(event, run);
    if (event.kind === 'run-start') run.start ??= event;
    if (event.kind === 'run-end') run.end = event;
    if (event.kind === 'notice') addFinding(run, { kind: 'notice', code: event.code, detail: event.detail });
    if (event.kind === 'probe' && !event.passed)
      addFinding(run, { kind: 'probe', code: event.name, detail: event.detail });
  }

  /** A line of the log that is no event. */
  addFault(fault: { readonly line: number; readonly detail: string }): void {
    addFinding(this.#run(), { kind: 'line', code: `line ${fault.line}`, detail: fault.detail });
  }

  /** What a check of the whole chain found; without it a run counts as unsealed or sealed by its last line. */
  endRun(chain: PageChain): void {
    this.#run().chain = chain;
  }

  /** The events are not sorted anew each time a live page asks for counts alone. */
  summary(): PageSummary {
    const { rows, hosts: hostCount, mutedCount } = this.#top.result();
    const hosts = chooseHosts(rows);
    return {
      madeAt: this.#options.madeAt,
      sand: this.#options.sand,
      runs: this.#runs.map(runOf),
      hosts,
      hostCount,
      names: this.#names.names(hosts.map(({ host }) => host)),
      totals: totalsOf(rows, mutedCount),
      shownEvents: Math.min(this.#kept.count, this.#options.limit ?? PAGE_LIMITS.events),
      totalEvents: this.#kept.count,
    };
  }

  data(): PageData {
    return { summary: this.summary(), events: this.#kept.entries() };
  }

  #count(event: Exclude<AuditEvent, { kind: 'close' }>, run: RunDraft): void {
    const timeMs = Date.parse(event.time);
    switch (event.kind) {
      case 'dns':
        run.timeline.add(timeMs, event.muted === true ? 'muted' : rowVerdict(event), event.count ?? 1);
        this.#names.lookup(event);
        return;
      case 'connection':
        run.timeline.add(timeMs, event.muted === true ? 'muted' : rowVerdict(event), event.count ?? 1);
        this.#names.connection(event);
        return;
      case 'unplanted':
        run.timeline.add(timeMs, event.muted === true ? 'muted' : rowVerdict(event), event.count);
        this.#names.unplanted(event);
        return;
      default:
        // The chart spans the run, also where it asked for nothing.
        run.timeline.add(timeMs, null, 0);
    }
  }

  #run(): RunDraft {
    const run = this.#runs.at(-1);
    if (run === undefined) throw new RangeError('no run was begun');
    return run;
  }
}

function addFinding(run: RunDraft, finding: PageFinding): void {
  run.findingCount += 1;
  if (run.findings.length < PAGE_LIMITS.findings) run.findings.push(finding);
}

/** The first ones of every order, most denied first. Rows come most requests first, which decides among equals. */
function chooseHosts(rows: readonly TopRow[]): readonly TopRow[] {
  const denied = rows.toSorted((a, b) => refusals(b) - refusals(a));
  if (rows.length <= PAGE_LIMITS.hosts) return denied;
  const bytes = rows.toSorted((a, b) => b.bytesOut + b.bytesIn - a.bytesOut - a.bytesIn);
  const chosen = new Set([denied, rows, bytes].flatMap((order) => order.slice(0, PAGE_LIMITS.hosts)));
  return denied.filter((row) => chosen.has(row));
}

function refusals(row: TopRow): number {
  return row.denied + row.wouldBeDenied;
}

function totalsOf(rows: readonly TopRow[], muted: number): PageTotals {
  const sum = (of: (row: TopRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  return {
    requests: sum((row) => row.requests),
    denied: sum((row) => row.denied),
    wouldBeDenied: sum((row) => row.wouldBeDenied),
    failed: sum((row) => row.failed),
    allowed: sum((row) => row.allowed),
    lookups: sum((row) => row.lookups),
    bytesOut: sum((row) => row.bytesOut),
    bytesIn: sum((row) => row.bytesIn),
    muted,
  };
}

function runOf(run: RunDraft): PageRun {
  const { start, end } = run;
  const policy = start?.policy;
  return {
    id: run.id,
    name: start?.name ?? null,
    command: start?.command ?? [],
    before: start?.before ?? [],
    workdir: start?.workdir ?? null,
    policy:
      policy === undefined
        ? null
        : {
            name: policy.name,
            digest: policy.digest,
            mode: policy.mode,
            layers: policy.layers,
            phases: policy.phases ?? [],
          },
    backend: start?.backend ?? null,
    isolation: start?.isolation ?? null,
    confinement: start?.confinement ?? null,
    image: start?.image?.name ?? null,
    sand: start?.sand ?? null,
    attribution: start?.attribution ?? null,
    startMs: start === null ? null : Date.parse(start.time),
    end:
      end === null
        ? null
        : {
            atMs: Date.parse(end.time),
            exitCode: end.exitCode,
            cause: end.cause,
            durationMs: end.durationMs,
          },
    chain: run.chain ?? { state: end === null ? 'unsealed' : 'sealed', events: run.events },
    key: start?.key ?? null,
    signed: end?.signature !== undefined,
    events: run.events,
    timeline: run.timeline.timeline(),
    findings: run.findings,
    findingCount: run.findingCount,
  };
}
