/**
 * Counters of one guest: audit events go in, samples come out. The one place that decides what is counted and under which
 * labels; every label has a closed list of values or a bound. Pure but for its own counts; who serves it is the controller's.
 */
import type { AuditEntry, ConnectionClose, DecisionFacts } from './event.ts';
import { METRICS_LIMITS } from './limits.ts';

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

export interface Histogram {
  /** Upper bounds in order, without infinity, and what is at most that; cumulative. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
  readonly sum: number;
  readonly count: number;
}

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly Sample[];
  readonly histogram?: Histogram;
}

/** What only the log itself knows. */
export interface LogFigures {
  readonly events: number;
  readonly bytes: number;
}

/** What is counted together where there are more than `METRICS_LIMITS` names. */
export const OTHER = 'other';

const HELP = {
  sand_build_info: 'Versions of what runs; always 1.',
  sand_guest_info: 'What the guest is; always 1.',
  sand_uptime_seconds: 'Since the supervisor began with this guest.',
  sand_decisions_total: 'Decisions, by what was asked and what became of it.',
  sand_denied_total:
    'Requests that were refused by the policy, or would be in enforce mode, by host; without what is muted.',
  sand_dns_questions_total: 'DNS questions, by type and answer.',
  sand_connections_open: 'Connections that are open now.',
  sand_inbound_total: 'Connections from the host to published ports.',
  sand_bytes_total: 'Bytes of connections that have ended, as the guest sees them: out of it, and in.',
  sand_connection_duration_seconds: 'How long connections were open that have ended.',
  sand_commands_total: 'Commands that were started in the guest beside its first.',
  sand_probes_total: 'Start probes, by whether they passed.',
  sand_notices_total: 'What sand found out that no single request shows, by code.',
  sand_audit_events_total: 'Lines of the audit log.',
  sand_audit_bytes_total: 'Bytes of the audit log.',
  sand_audit_failures_total: 'Lines that could not be written; from the first on nothing is allowed.',
} as const;
type Name = keyof typeof HELP;

const DURATION_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 600];
const DNS_TYPES = new Set([
  'A',
  'AAAA',
  'CNAME',
  'HTTPS',
  'MX',
  'NS',
  'PTR',
  'SOA',
  'SRV',
  'SVCB',
  'TXT',
  'ANY',
]);

/** Counts that only grow, each under its labels. */
class Counts {
  readonly #counts = new Map<string, { readonly labels: Labels; value: number }>();

  add(labels: Labels, by = 1): void {
    const key = JSON.stringify(labels);
    const held = this.#counts.get(key);
    if (held !== undefined) held.value += by;
    else this.#counts.set(key, { labels, value: by });
  }

  get size(): number {
    return this.#counts.size;
  }

  has(labels: Labels): boolean {
    return this.#counts.has(JSON.stringify(labels));
  }

  samples(): readonly Sample[] {
    return [...this.#counts.values()].map(({ labels, value }) => ({ labels, value }));
  }
}

export class Metrics {
  readonly #startedMs: number;
  readonly #build: Labels;
  #guest: Labels | null = null;
  readonly #decisions = new Counts();
  readonly #denied = new Counts();
  readonly #questions = new Counts();
  readonly #inbound = new Counts();
  readonly #probes = new Counts();
  readonly #notices = new Counts();
  /** By number, whether the guest made it: a close says only which one it is. */
  readonly #open = new Map<number, 'connection' | 'inbound'>();
  readonly #durations = DURATION_BUCKETS.map(() => 0);
  #ended = 0;
  #endedSeconds = 0;
  #bytesOut = 0;
  #bytesIn = 0;
  #commands = 0;
  #failures = 0;

  /** `startedMs` in the time that `families` is asked with. */
  constructor(startedMs: number, build: Labels) {
    this.#startedMs = startedMs;
    this.#build = build;
  }

  /** What is on record. */
  add(entry: AuditEntry): void {
    switch (entry.kind) {
      case 'run-start': {
        const { run, name = run, backend, isolation, confinement, policy } = entry;
        this.#guest = { run, name, backend, isolation, confinement, policy: policy.name, mode: policy.mode };
        return;
      }
      case 'dns':
        this.#addDecision(entry.kind, entry, entry.name, entry.count);
        this.#questions.add(
          { type: DNS_TYPES.has(entry.type) ? entry.type : OTHER, rcode: entry.rcode },
          entry.count,
        );
        return;
      case 'connection':
        this.#addDecision(entry.kind, entry, entry.host, entry.count);
        if (entry.disposition === 'forwarded') this.#opened(entry.connection, 'connection');
        return;
      case 'unplanted':
        this.#addDecision(entry.kind, entry, entry.host, entry.count);
        return;
      case 'inbound':
        this.#inbound.add({ disposition: entry.disposition }, entry.count);
        if (entry.disposition === 'forwarded') this.#opened(entry.connection, 'inbound');
        return;
      case 'close':
        this.#closed(entry);
        return;
      case 'exec':
        this.#commands += 1;
        return;
      case 'probe':
        this.#probes.add({ passed: String(entry.passed) });
        return;
      case 'notice':
        addBounded(this.#notices, 'code', entry.code, 1, METRICS_LIMITS.codes);
        return;
      default:
        return;
    }
  }

  /** A line that could not be written. */
  failed(): void {
    this.#failures += 1;
  }

  families(nowMs: number, log: LogFigures): readonly MetricFamily[] {
    const one = (value: number): readonly Sample[] => [{ labels: {}, value }];
    const open = [...this.#open.values()].filter((kind) => kind === 'connection').length;
    return [
      family('sand_build_info', 'gauge', [{ labels: this.#build, value: 1 }]),
      family('sand_guest_info', 'gauge', this.#guest === null ? [] : [{ labels: this.#guest, value: 1 }]),
      family('sand_uptime_seconds', 'gauge', one((nowMs - this.#startedMs) / 1_000)),
      family('sand_decisions_total', 'counter', this.#decisions.samples()),
      family('sand_denied_total', 'counter', this.#denied.samples()),
      family('sand_dns_questions_total', 'counter', this.#questions.samples()),
      family('sand_connections_open', 'gauge', one(open)),
      family('sand_inbound_total', 'counter', this.#inbound.samples()),
      family('sand_bytes_total', 'counter', [
        { labels: { direction: 'out' }, value: this.#bytesOut },
        { labels: { direction: 'in' }, value: this.#bytesIn },
      ]),
      { ...family('sand_connection_duration_seconds', 'histogram', []), histogram: this.#histogram() },
      family('sand_commands_total', 'counter', one(this.#commands)),
      family('sand_probes_total', 'counter', this.#probes.samples()),
      family('sand_notices_total', 'counter', this.#notices.samples()),
      family('sand_audit_events_total', 'counter', one(log.events)),
      family('sand_audit_bytes_total', 'counter', one(log.bytes)),
      family('sand_audit_failures_total', 'counter', one(this.#failures)),
    ];
  }

  #addDecision(kind: string, decision: DecisionFacts, host: string, count = 1): void {
    const { verdict, disposition, reason } = decision;
    this.#decisions.add({ kind, verdict, disposition, reason }, count);
    const isDenied = verdict === 'deny' || reason === 'would-be-denied';
    if (isDenied && decision.muted !== true)
      addBounded(this.#denied, 'host', host, count, METRICS_LIMITS.hosts);
  }

  #opened(connection: number, kind: 'connection' | 'inbound'): void {
    if (this.#open.size < METRICS_LIMITS.open) this.#open.set(connection, kind);
  }

  #closed({ connection, bytesOut, bytesIn, durationMs }: ConnectionClose): void {
    this.#open.delete(connection);
    this.#bytesOut += bytesOut;
    this.#bytesIn += bytesIn;
    const seconds = durationMs / 1_000;
    this.#ended += 1;
    this.#endedSeconds += seconds;
    DURATION_BUCKETS.forEach((le, at) => {
      if (seconds <= le) this.#durations[at] = (this.#durations[at] ?? 0) + 1;
    });
  }

  #histogram(): Histogram {
    const buckets = DURATION_BUCKETS.map((le, at) => ({ le, count: this.#durations[at] ?? 0 }));
    return { buckets, sum: this.#endedSeconds, count: this.#ended };
  }
}

/** A guest can ask for names without end: past the bound they are counted together. */
function addBounded(counts: Counts, label: string, value: string, by: number, bound: number): void {
  const labels = { [label]: value.slice(0, METRICS_LIMITS.labelCharacters) };
  counts.add(counts.has(labels) || counts.size < bound ? labels : { [label]: OTHER }, by);
}

function family(name: Name, type: MetricFamily['type'], samples: readonly Sample[]): MetricFamily {
  return { name, help: HELP[name], type, samples };
}
