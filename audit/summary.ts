/**
 * Folds events into the rows that people read: one row for what was asked again and again, denials first.
 * Decides what counts as denied, would-be denied, failed or allowed in a report; the events stay as they are.
 * Pure.
 */
import type { Reason } from '../policies/reasons.ts';
import type {
  Asker,
  AuditEvent,
  ConnectionClose,
  ConnectionDecision,
  DecisionFacts,
  ProcessFact,
  RuleFact,
} from './event.ts';
import { SUMMARY_LIMITS } from './limits.ts';

/**
 * `failed`: the policy allows it and the world beyond did not give it. `would-be-denied`: it passed only
 * because the policy is in report mode.
 */
export type RowVerdict = 'denied' | 'would-be-denied' | 'failed' | 'allowed';

export interface Row {
  readonly verdict: RowVerdict;
  readonly asker: Asker;
  readonly host: string;
  /** Null for a name that was only looked up. */
  readonly port: number | null;
  /** `dns`, `http`, `https`, `tcp`, `connect`, `socks`, `udp`, `icmp`, `other`. */
  readonly how: readonly string[];
  /** Connections and attempts; where there were none, DNS questions. */
  readonly count: number;
  readonly questions: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly reason: Reason;
  readonly rule: RuleFact | null;
  /** Why sand or the origin ended connections of this row, each once. */
  readonly endings: readonly Reason[];
  readonly first: string;
  readonly last: string;
  readonly detail: string | null;
  readonly suggestion: string | null;
  /** Every event of the row was muted. */
  readonly muted: boolean;
  /** Who in the guest asked, where rows are told apart by that; null where the log does not say. */
  readonly process?: string | null;
}

export interface FoldOptions {
  /** Tell rows apart by the command line of who asked. */
  readonly byProcess?: boolean;
}

export interface SummaryOptions {
  /** Show what the policy mutes. */
  readonly muted?: boolean;
}

export interface SummaryRows {
  readonly rows: readonly Row[];
  /** Requests that mute rules keep out of `rows`. */
  readonly mutedCount: number;
}

/** What a row stands for when there were more distinct rows than `SUMMARY_LIMITS.rows`. */
export const OTHER_HOSTS = '(other hosts)';

const VERDICT_ORDER: readonly RowVerdict[] = ['denied', 'would-be-denied', 'failed', 'allowed'];
const FAILURES: ReadonlySet<Reason> = new Set<Reason>([
  'upstream-refused',
  'upstream-timeout',
  'upstream-failed',
  'dns-not-found',
  'dns-failed',
]);

interface Draft {
  readonly verdict: RowVerdict;
  readonly asker: Asker;
  readonly host: string;
  readonly port: number | null;
  readonly how: Set<string>;
  attempts: number;
  questions: number;
  bytesOut: number;
  bytesIn: number;
  readonly reason: Reason;
  readonly rule: RuleFact | null;
  readonly endings: Set<Reason>;
  first: string;
  last: string;
  detail: string | null;
  suggestion: string | null;
  muted: boolean;
  readonly process?: string | null;
}

/** Events in, rows out, in bounded memory however long the log. */
export class Summary {
  readonly #drafts = new Map<string, Draft>();
  readonly #open = new Map<number, Draft>();
  readonly #byProcess: boolean;

  constructor(options: FoldOptions = {}) {
    this.#byProcess = options.byProcess === true;
  }

  /** Events in the order of the log. Kinds that ask for nothing are passed over. */
  add(event: AuditEvent): void {
    switch (event.kind) {
      case 'dns': {
        const { name: host, process, count = 1 } = event;
        this.#fold(event, event, { host, port: null, how: 'dns', questions: count, process });
        return;
      }
      case 'connection': {
        const draft = this.#fold(event, event, {
          host: event.host,
          port: event.port,
          how: howOf(event),
          attempts: event.count ?? 1,
          process: event.process,
        });
        if (event.disposition === 'forwarded') this.#remember(event.connection, draft);
        return;
      }
      case 'unplanted': {
        const { host, port, transport, count } = event;
        this.#fold(event, event, { host, port, how: transport, attempts: count });
        return;
      }
      case 'close':
        this.#close(event);
        return;
      default:
        return;
    }
  }

  /** The rows so far, denied first, then by how often. */
  rows(options: SummaryOptions = {}): SummaryRows {
    const folded = foldLookups([...this.#drafts.values()]).map(rowOf);
    const shown = options.muted === true ? folded : folded.filter((row) => !row.muted);
    const hidden = options.muted === true ? [] : folded.filter((row) => row.muted);
    return {
      rows: shown.sort(compareRows),
      mutedCount: hidden.reduce((sum, row) => sum + row.count, 0),
    };
  }

  #fold(
    decision: DecisionFacts,
    event: AuditEvent,
    asked: {
      readonly host: string;
      readonly port: number | null;
      readonly how: string;
      readonly questions?: number;
      readonly attempts?: number;
      readonly process?: ProcessFact | undefined;
    },
  ): Draft {
    const draft = this.#draftFor(decision, event.time, asked);
    draft.how.add(asked.how);
    draft.questions += asked.questions ?? 0;
    draft.attempts += asked.attempts ?? 0;
    draft.last = event.time;
    draft.detail ??= decision.detail ?? null;
    draft.suggestion ??= decision.suggestion ?? null;
    draft.muted &&= decision.muted === true;
    return draft;
  }

  #draftFor(
    decision: DecisionFacts,
    time: string,
    asked: {
      readonly host: string;
      readonly port: number | null;
      readonly how: string;
      readonly process?: ProcessFact | undefined;
    },
  ): Draft {
    const { host, port, how } = asked;
    const process = asked.process?.command ?? null;
    const own = this.#byProcess ? { process } : {};
    const verdict = rowVerdict(decision);
    const { asker, reason, rule } = decision;
    const rulePlace = rule === null ? '' : `${rule.id}\n${rule.file}\n${rule.line}`;
    const key = [asker, verdict, host, port, how, reason, rulePlace, own.process].join('\n');
    const known = this.#drafts.get(key);
    if (known !== undefined) return known;
    if (this.#drafts.size >= SUMMARY_LIMITS.rows) return this.#overflowDraft(decision, verdict, time);
    const draft = newDraft({ verdict, asker, host, port, reason, rule, time, ...own });
    this.#drafts.set(key, draft);
    return draft;
  }

  /** One row a verdict takes what no longer gets a row of its own, so that nothing goes uncounted. */
  #overflowDraft(decision: DecisionFacts, verdict: RowVerdict, time: string): Draft {
    const key = `\n${verdict}`;
    const known = this.#drafts.get(key);
    if (known !== undefined) return known;
    const { asker, reason } = decision;
    const draft = newDraft({ verdict, asker, host: OTHER_HOSTS, port: null, reason, rule: null, time });
    draft.detail = 'more distinct requests than a report holds, for this and other reasons';
    this.#drafts.set(key, draft);
    return draft;
  }

  #remember(connection: number, draft: Draft): void {
    if (this.#open.size >= SUMMARY_LIMITS.openConnections) {
      const [oldest] = this.#open.keys();
      if (oldest !== undefined) this.#open.delete(oldest);
    }
    this.#open.set(connection, draft);
  }

  #close(event: ConnectionClose & { readonly time: string }): void {
    const draft = this.#open.get(event.connection);
    if (draft === undefined) return;
    this.#open.delete(event.connection);
    draft.bytesOut += event.bytesOut;
    draft.bytesIn += event.bytesIn;
    draft.last = event.time;
    if (event.reason !== undefined && draft.endings.size < SUMMARY_LIMITS.endings)
      draft.endings.add(event.reason);
  }
}

/** All at once, for what fits in memory. */
export function summarize(events: Iterable<AuditEvent>, options: SummaryOptions = {}): SummaryRows {
  const summary = new Summary();
  for (const event of events) summary.add(event);
  return summary.rows(options);
}

/** What a decision is in a report. A withheld record type is no denial: the name is allowed. */
export function rowVerdict(decision: DecisionFacts): RowVerdict {
  if (decision.reason === 'would-be-denied') return 'would-be-denied';
  if (decision.reason === 'dns-type-withheld') return 'allowed';
  if (FAILURES.has(decision.reason)) return 'failed';
  return decision.verdict === 'deny' || decision.disposition === 'refused' ? 'denied' : 'allowed';
}

/** How a connection came: its protocol, or where none was judged, the door it came through. */
export function howOf(event: ConnectionDecision): string {
  if (event.protocol !== null) return event.protocol;
  if (event.via === 'forward') return 'http';
  return event.via === 'transparent' ? 'tcp' : event.via;
}

/**
 * A lookup that belongs to a connection of the same host is told in that connection's row: an allowed lookup
 * in any, another only beside the same verdict and reason.
 */
function foldLookups(drafts: readonly Draft[]): readonly Draft[] {
  const connections = new Map<string, Draft[]>();
  for (const draft of drafts) {
    if (draft.port === null) continue;
    const key = askerKeyOf(draft);
    const list = connections.get(key);
    if (list === undefined) connections.set(key, [{ ...draft, how: new Set(draft.how) }]);
    else list.push({ ...draft, how: new Set(draft.how) });
  }
  const lookups = drafts.filter((draft) => draft.port === null && !foldInto(connections, draft));
  return [...[...connections.values()].flat(), ...lookups];
}

function askerKeyOf({ asker, host, process }: Draft): string {
  return [asker, host, process].join('\n');
}

function foldInto(connections: ReadonlyMap<string, readonly Draft[]>, lookup: Draft): boolean {
  const candidates = connections.get(askerKeyOf(lookup)) ?? [];
  const same = candidates.filter((draft) => draft.verdict === lookup.verdict);
  const target =
    same.find((draft) => draft.reason === lookup.reason) ??
    (lookup.verdict === 'allowed' ? (same[0] ?? candidates[0]) : undefined);
  if (target === undefined) return false;
  target.how.add('dns');
  target.questions += lookup.questions;
  if (lookup.first < target.first) target.first = lookup.first;
  if (lookup.last > target.last) target.last = lookup.last;
  target.detail ??= lookup.detail;
  target.suggestion ??= lookup.suggestion;
  target.muted &&= lookup.muted;
  return true;
}

function newDraft(
  key: Pick<Draft, 'verdict' | 'asker' | 'host' | 'port' | 'reason' | 'rule' | 'process'> & { time: string },
): Draft {
  const { time, ...fields } = key;
  return {
    ...fields,
    how: new Set(),
    attempts: 0,
    questions: 0,
    bytesOut: 0,
    bytesIn: 0,
    endings: new Set(),
    first: time,
    last: time,
    detail: null,
    suggestion: null,
    muted: true,
  };
}

function rowOf(draft: Draft): Row {
  const { attempts, how, endings, ...fields } = draft;
  const count = attempts > 0 ? attempts : draft.questions;
  return { ...fields, how: [...how].sort(compareHow), endings: [...endings], count };
}

/** `dns` first, as it comes first. */
function compareHow(a: string, b: string): number {
  if (a === 'dns' || b === 'dns') return a === b ? 0 : a === 'dns' ? -1 : 1;
  return compareText(a, b);
}

function compareRows(a: Row, b: Row): number {
  return (
    VERDICT_ORDER.indexOf(a.verdict) - VERDICT_ORDER.indexOf(b.verdict) ||
    b.count - a.count ||
    compareText(a.host, b.host) ||
    (a.port ?? 0) - (b.port ?? 0) ||
    compareText(a.how.join(), b.how.join()) ||
    compareText(a.reason, b.reason) ||
    compareText(a.process ?? '', b.process ?? '') ||
    compareText(a.first, b.first)
  );
}

/** By code unit: the same everywhere, whatever the locale. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
