/**
 * Which events of a log somebody wants to see: by verdict, host, rule, time, kind and size. Decides what each
 * criterion means for each kind of event; how a person writes them is decided by the command line. Pure.
 */
import { parseAddress, rangeContains } from '../policies/address.ts';
import type { HostPattern, IpRange } from '../policies/model.ts';
import { parsePattern, type Reading } from '../policies/pattern.ts';
import { parseRangeText } from '../policies/subject.ts';
import type { AuditEvent, RuleFact } from './event.ts';
import { SUMMARY_LIMITS } from './limits.ts';
import { rowVerdict } from './summary.ts';

export type EventKind = AuditEvent['kind'];

/** A host pattern with the meaning that it has in a policy, or a range of addresses. */
export type HostChoice =
  | { readonly kind: 'names'; readonly pattern: HostPattern }
  | { readonly kind: 'range'; readonly range: IpRange };

/** What is null or empty selects nothing out. */
export interface Criteria {
  /** Denied, and in report mode what would have been. */
  readonly denied: boolean;
  /** One of these. */
  readonly hosts: readonly HostChoice[];
  /** Ids of rules, or where they stand, `FILE:LINE`; one of these. */
  readonly rules: readonly string[];
  /** Milliseconds since the epoch; from, up to and without. */
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
  readonly kinds: readonly EventKind[];
  /** More than so many bytes, both ways together. */
  readonly bytesOver: number | null;
}

export const EVERYTHING: Criteria = {
  denied: false,
  hosts: [],
  rules: [],
  sinceMs: null,
  untilMs: null,
  kinds: [],
  bytesOver: null,
};

export function selectsAll(criteria: Criteria): boolean {
  const { denied, hosts, rules, sinceMs, untilMs, kinds, bytesOver } = criteria;
  const isNarrow = denied || sinceMs !== null || untilMs !== null || bytesOver !== null;
  return !isNarrow && hosts.length + rules.length + kinds.length === 0;
}

/** A name or pattern as policies write it, an address, or a range. */
export function parseHostChoice(text: string): Reading<HostChoice> {
  // No last label of a name is a number, so what ends in one is an address or a part of one.
  if (/^[\d.]+(\/|$)/.test(text) || /^\[?[\da-f.]*:[\da-f:.]*\]?(\/\d+)?$/i.test(text)) {
    const range = parseRangeText(text);
    return range.ok ? { ok: true, value: { kind: 'range', range: range.value } } : range;
  }
  const pattern = parsePattern(text);
  return pattern.ok ? { ok: true, value: { kind: 'names', pattern: pattern.value } } : pattern;
}

/** How the end of a connection is selected. */
export type CloseRule =
  /** For folding: with its connection, whenever it ends. */
  | 'with its connection'
  /** For single events: like any, with the verdict and rule of its connection. */
  | 'by itself';

/** Selects events in the order of the log. Keeps the open connections that it has selected, so many and no more. */
export class Selection {
  readonly #criteria: Criteria;
  readonly #closes: CloseRule;
  /** Connections whose decision fits whatever is asked of decisions. */
  readonly #open = new Set<number>();

  constructor(criteria: Criteria, closes: CloseRule) {
    this.#criteria = criteria;
    this.#closes = closes;
  }

  has(event: AuditEvent): boolean {
    if (event.kind === 'close') return this.#hasClose(event);
    const isFitting = isDecisionFitting(event, this.#criteria);
    const isTimely = this.#isTimely(event) && this.#isOfKind(event.kind);
    const isKept = this.#closes === 'by itself' ? isFitting : isFitting && isTimely;
    if (isKept && (event.kind === 'connection' || event.kind === 'inbound')) this.#remember(event.connection);
    // What a connection moves is known at its end.
    const isSized = this.#criteria.bytesOver === null || this.#closes === 'with its connection';
    return isFitting && isTimely && isSized;
  }

  #hasClose(event: Extract<AuditEvent, { kind: 'close' }>): boolean {
    const isOpen = this.#open.delete(event.connection);
    if (this.#closes === 'with its connection') return isOpen;
    const { bytesOver, denied, rules, hosts } = this.#criteria;
    if (bytesOver !== null && event.bytesOut + event.bytesIn <= bytesOver) return false;
    if (!this.#isTimely(event) || !this.#isOfKind('close')) return false;
    return isOpen || (!denied && rules.length + hosts.length === 0);
  }

  #remember(connection: number): void {
    if (this.#open.size >= SUMMARY_LIMITS.openConnections) {
      const [oldest] = this.#open;
      if (oldest !== undefined) this.#open.delete(oldest);
    }
    this.#open.add(connection);
  }

  #isOfKind(kind: EventKind): boolean {
    const { kinds } = this.#criteria;
    return kinds.length === 0 || kinds.includes(kind);
  }

  #isTimely({ time }: AuditEvent): boolean {
    const { sinceMs, untilMs } = this.#criteria;
    if (sinceMs === null && untilMs === null) return true;
    const atMs = Date.parse(time);
    return (sinceMs === null || atMs >= sinceMs) && (untilMs === null || atMs < untilMs);
  }
}

/** By verdict, host and rule. What is no decision has none of them, so it fits only where none is asked for. */
function isDecisionFitting(event: AuditEvent, criteria: Criteria): boolean {
  const { denied, hosts, rules } = criteria;
  if (denied && !isDenied(event)) return false;
  if (rules.length > 0 && !ruleNames(event).some((name) => rules.includes(name))) return false;
  if (hosts.length === 0) return true;
  const host = hostOf(event);
  return host !== null && hosts.some((choice) => isChosen(choice, host));
}

function isDenied(event: AuditEvent): boolean {
  switch (event.kind) {
    case 'dns':
    case 'connection':
    case 'unplanted': {
      const verdict = rowVerdict(event);
      return verdict === 'denied' || verdict === 'would-be-denied';
    }
    case 'inbound':
      return event.disposition === 'refused';
    case 'answer':
      return event.answer === 'deny' || event.answer === 'never';
    default:
      return false;
  }
}

function ruleNames(event: AuditEvent): readonly string[] {
  if (event.kind === 'answer') return [event.rule];
  if (!('rule' in event) || event.rule === null) return [];
  return [event.rule.id, placeOf(event.rule)];
}

function placeOf({ file, line }: RuleFact): string {
  return line > 0 ? `${file}:${line}` : file;
}

function hostOf(event: AuditEvent): string | null {
  switch (event.kind) {
    case 'dns':
      return event.name;
    case 'connection':
    case 'unplanted':
    case 'answer':
      return event.host;
    case 'inbound':
      return event.peer.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    default:
      return null;
  }
}

function isChosen(choice: HostChoice, host: string): boolean {
  const address = parseAddress(host);
  if (choice.kind === 'range') return address.ok && rangeContains(choice.range, address.value);
  // A host of the log is canonical or escaped; what is escaped matches no pattern.
  return !address.ok && choice.pattern.matches(host as Parameters<HostPattern['matches']>[0]);
}
