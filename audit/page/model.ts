/**
 * What the HTML page of a log is made of: types alone, so that the side that builds it and the script that runs
 * in it share them. `data.ts` fills them from events, `packing.ts` makes text of them, `client/` shows them.
 */
import type { Reason } from '../../policies/reasons.ts';
import type { Asker, AuditEvent, ProcessFact, RuleFact, RunEnd } from '../event.ts';
import type { RowVerdict } from '../summary.ts';
import type { TopRow } from '../top.ts';
import type { ChainProblem } from '../verify.ts';

/** Everything but the events; counts and charts cover the whole log, whatever part of its events is on the page. */
export interface PageSummary {
  /** RFC 3339. */
  readonly madeAt: string;
  /** Version of sand that made the page. */
  readonly sand: string;
  /** Oldest first; an event names its run by the index here. */
  readonly runs: readonly PageRun[];
  /** Rows of `sand audit top --json`, most denied first. Bounded; `hostCount` is how many there are. */
  readonly hosts: readonly TopRow[];
  readonly hostCount: number;
  /** Lookups beside connections, of the hosts above. */
  readonly names: readonly PageName[];
  readonly totals: PageTotals;
  /** Entries of the list on the page, and how many the log has. */
  readonly shownEvents: number;
  readonly totalEvents: number;
  /** Only on a page that a server keeps up to date. */
  readonly live?: PageLive;
}

/** What a live page needs to reach its server. */
export interface PageLive {
  /** Path that the API's own paths begin with. */
  readonly api: string;
  /** What a request that writes sends along. */
  readonly csrf: string;
  readonly run: string;
  /** Line of the log up to which the page has everything. */
  readonly seq: number;
  /** Nothing comes any more. */
  readonly sealed: boolean;
}

export interface PageTotals {
  readonly requests: number;
  readonly denied: number;
  readonly wouldBeDenied: number;
  readonly failed: number;
  readonly allowed: number;
  readonly lookups: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  /** Requests that mute rules keep out of the counts above. */
  readonly muted: number;
}

/** A host's questions next to its connections. */
export interface PageName {
  readonly host: string;
  readonly lookups: readonly PageLookup[];
  readonly connections: readonly PageConnections[];
  /** Distinct lookups and connections that found no place above. */
  readonly more: number;
}

export interface PageLookup {
  readonly type: string;
  readonly rcode: string;
  readonly verdict: RowVerdict;
  readonly reason: Reason;
  readonly count: number;
  /** The first few distinct ones. */
  readonly answers: readonly string[];
}

export interface PageConnections {
  readonly port: number;
  readonly how: string;
  readonly verdict: RowVerdict;
  readonly reason: Reason;
  readonly count: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
}

/** The head of one run. Null: the log does not say. */
export interface PageRun {
  readonly id: string;
  readonly name: string | null;
  readonly command: readonly string[];
  readonly before: readonly string[];
  readonly workdir: string | null;
  readonly policy: {
    readonly name: string;
    readonly digest: string;
    readonly mode: string;
    readonly layers: readonly string[];
    readonly phases: readonly string[];
  } | null;
  readonly backend: string | null;
  readonly isolation: string | null;
  readonly confinement: string | null;
  readonly image: string | null;
  readonly sand: string | null;
  readonly attribution: 'process' | 'none' | null;
  readonly startMs: number | null;
  readonly end: {
    readonly atMs: number;
    readonly exitCode: number;
    readonly cause: RunEnd['cause'];
    readonly durationMs: number;
  } | null;
  readonly chain: PageChain;
  /** Fingerprint of the key that the log names, and whether its seal carries a signature. The page checks none. */
  readonly key: string | null;
  readonly signed: boolean;
  /** Lines of the log. */
  readonly events: number;
  readonly timeline: PageTimeline;
  /** The first few of each, and how many there are. */
  readonly findings: readonly PageFinding[];
  readonly findingCount: number;
}

export type PageChain =
  | { readonly state: 'sealed'; readonly events: number }
  /** No seal: it still goes on, was killed, or was cut. */
  | { readonly state: 'unsealed'; readonly events: number }
  | {
      readonly state: 'broken';
      /** From 1 in its file. */
      readonly line: number;
      /** Which file of the log, from 1. */
      readonly segment: number;
      readonly problem: ChainProblem;
      readonly detail: string;
    };

/** A failed probe, a notice, a line that could not be read. */
export interface PageFinding {
  readonly kind: 'probe' | 'notice' | 'line';
  readonly code: string;
  readonly detail: string;
}

/** Decisions by what became of them, in steps of equal length from `fromMs`. A flood's event counts for all it stands for. */
export interface PageTimeline {
  readonly fromMs: number;
  readonly stepMs: number;
  readonly bars: readonly PageBar[];
}

/** Denied, would-be denied, failed, allowed, muted. */
export type PageBar = readonly [number, number, number, number, number];

/** One entry of the list. A close is no entry of its own: it is told with its connection. */
export interface PageEvent {
  /** Index in `PageSummary.runs`. */
  readonly run: number;
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  readonly kind: Exclude<AuditEvent['kind'], 'close'>;
  /** Null: it asks for nothing. */
  readonly verdict: RowVerdict | null;
  readonly muted: boolean;
  readonly asker: Asker | null;
  /** Empty where it concerns none. */
  readonly host: string;
  readonly port: number | null;
  /** `dns`, `http`, `https`, `tcp`, `connect`, `socks`, `udp`, `icmp`, `other`; else the kind. */
  readonly how: string;
  /** What was asked in its own words: method and path, record type and answer, command. */
  readonly text: string;
  readonly reason: Reason | null;
  readonly rule: RuleFact | null;
  readonly count: number;
  readonly detail: string | null;
  readonly suggestion: string | null;
  readonly process: ProcessFact | null;
  /** Further facts for a closer look: label and value. */
  readonly facts: readonly (readonly [string, string])[];
  readonly close: PageClose | null;
}

export interface PageClose {
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly durationMs: number;
  readonly reason: Reason | null;
  readonly detail: string | null;
}

/**
 * What a started page offers to a live one (`client/page.ts` gives it). An event that is known by its run and
 * sequence number is replaced: so a close reaches its connection.
 */
export interface LivePage {
  readonly summary: PageSummary;
  appendEvents(events: readonly PageEvent[]): void;
  /** New counts, charts and heads; the events stay. */
  replaceSummary(summary: PageSummary): void;
}
