/**
 * Which entries of the list a person asked for, in which order, and the same as the hash of a link. Knows no
 * document, so that it is tested without a browser. Pure.
 */
import { REASONS } from '../../policies/reasons.ts';
import { formatAuthority, formatRulePlace, VERDICT_TEXT } from '../phrases.ts';
import type { RowVerdict } from '../summary.ts';
import type { PageEvent } from './model.ts';

export const VERDICTS = [
  'denied',
  'would-be-denied',
  'failed',
  'allowed',
] as const satisfies readonly RowVerdict[];
/** `other`: entries that ask for nothing, such as probes and notices. */
export const CHOICES = [...VERDICTS, 'other'] as const;
export type Choice = (typeof CHOICES)[number];

export const ORDERS = ['denied', 'time', 'newest', 'bytes', 'longest'] as const;
export type Order = (typeof ORDERS)[number];

export interface Filters {
  /** Every word of it stands somewhere in the entry. */
  readonly search: string;
  /** Empty: all. */
  readonly verdicts: readonly Choice[];
  readonly kind: string | null;
  /** Exactly this host; `*.` before it: and what is below it. */
  readonly host: string | null;
  /** `file:line`, see `ruleKey`. */
  readonly rule: string | null;
  readonly run: number | null;
  readonly fromMs: number | null;
  /** The end of the range, not in it. */
  readonly toMs: number | null;
  readonly muted: boolean;
  readonly order: Order;
}

export const NO_FILTERS: Filters = {
  search: '',
  verdicts: [],
  kind: null,
  host: null,
  rule: null,
  run: null,
  fromMs: null,
  toMs: null,
  muted: false,
  order: 'denied',
};

/** An entry with what a search looks through. */
export interface Entry {
  readonly event: PageEvent;
  readonly haystack: string;
}

export function entryFor(event: PageEvent): Entry {
  const { rule, reason, process } = event;
  const parts = [
    formatAuthority(event),
    event.how,
    event.kind,
    event.text,
    event.verdict === null ? '' : VERDICT_TEXT[event.verdict],
    reason ?? '',
    reason === null ? '' : REASONS[reason],
    rule === null ? '' : `${rule.id} ${formatRulePlace(rule)} ${rule.because ?? ''}`,
    process === null ? '' : `${process.pid} ${process.command}`,
    event.detail ?? '',
    event.suggestion ?? '',
    event.close?.reason ?? '',
    event.close?.detail ?? '',
    ...event.facts.map(([, value]) => value),
  ];
  return { event, haystack: parts.join('\n').toLowerCase() };
}

export function choiceOf(event: PageEvent): Choice {
  return event.verdict ?? 'other';
}

/** Names a rule in filters and links; null for an entry without one. */
export function ruleKey(event: PageEvent): string | null {
  return event.rule === null ? null : `${formatRulePlace(event.rule)} ${event.rule.id}`;
}

export interface Found {
  /** In the order that was asked for. */
  readonly entries: readonly Entry[];
  /** How many there would be of each choice were the verdicts not chosen. */
  readonly counts: Readonly<Record<Choice, number>>;
  /** Entries that only their being muted keeps out. */
  readonly mutedCount: number;
}

/** One pass, so that twenty thousand entries are answered within a frame. */
export function findEntries(entries: readonly Entry[], filters: Filters): Found {
  const words = filters.search.toLowerCase().split(/\s+/).filter(Boolean);
  const counts: Record<Choice, number> = { denied: 0, 'would-be-denied': 0, failed: 0, allowed: 0, other: 0 };
  const chosen = new Set<Choice>(filters.verdicts.length === 0 ? CHOICES : filters.verdicts);
  const found: Entry[] = [];
  let mutedCount = 0;
  for (const entry of entries) {
    if (!isWanted(entry, filters, words)) continue;
    if (entry.event.muted && !filters.muted) {
      mutedCount += 1;
      continue;
    }
    const choice = choiceOf(entry.event);
    counts[choice] += 1;
    if (chosen.has(choice)) found.push(entry);
  }
  return { entries: inOrder(found, filters.order), counts, mutedCount };
}

function isWanted({ event, haystack }: Entry, filters: Filters, words: readonly string[]): boolean {
  if (filters.run !== null && event.run !== filters.run) return false;
  if (filters.kind !== null && event.kind !== filters.kind) return false;
  if (filters.fromMs !== null && event.timeMs < filters.fromMs) return false;
  if (filters.toMs !== null && event.timeMs >= filters.toMs) return false;
  if (filters.host !== null && !isOfHost(event.host, filters.host)) return false;
  if (filters.rule !== null && ruleKey(event) !== filters.rule) return false;
  return words.every((word) => haystack.includes(word));
}

function isOfHost(host: string, wanted: string): boolean {
  if (host === wanted) return true;
  if (!wanted.startsWith('*.')) return false;
  return host === wanted.slice(2) || host.endsWith(wanted.slice(1));
}

/** Entries come in the order of the log. */
function inOrder(entries: readonly Entry[], order: Order): readonly Entry[] {
  switch (order) {
    case 'denied':
      return CHOICES.flatMap((choice) => entries.filter(({ event }) => choiceOf(event) === choice));
    case 'time':
      return entries;
    case 'newest':
      return entries.toReversed();
    case 'bytes':
      return entries.toSorted((a, b) => bytesOf(b.event) - bytesOf(a.event));
    case 'longest':
      return entries.toSorted(
        (a, b) => (b.event.close?.durationMs ?? -1) - (a.event.close?.durationMs ?? -1),
      );
  }
}

export function bytesOf({ close }: PageEvent): number {
  return close === null ? 0 : close.bytesOut + close.bytesIn;
}

/** Without the `#`; empty for no filters. Times are RFC 3339, so that people can read and write a link. */
export function formatHash(filters: Filters, selected: string | null = null): string {
  const pairs: (readonly [string, string])[] = [];
  const put = (key: string, value: string | null) => {
    if (value !== null && value !== '') pairs.push([key, value]);
  };
  put('q', filters.search);
  put('verdict', filters.verdicts.join(','));
  put('kind', filters.kind);
  put('host', filters.host);
  put('rule', filters.rule);
  put('run', filters.run === null ? null : String(filters.run + 1));
  put('from', filters.fromMs === null ? null : new Date(filters.fromMs).toISOString());
  put('to', filters.toMs === null ? null : new Date(filters.toMs).toISOString());
  put('muted', filters.muted ? 'shown' : null);
  put('order', filters.order === 'denied' ? null : filters.order);
  put('event', selected);
  return new URLSearchParams(pairs.map(([key, value]): [string, string] => [key, value])).toString();
}

/** What a link does not say, or says wrongly, is as without filters. */
export function parseHash(hash: string): { readonly filters: Filters; readonly selected: string | null } {
  const given = new URLSearchParams(hash.replace(/^#/, ''));
  const text = (key: string) => (given.get(key) === '' ? null : given.get(key));
  const run = /^[1-9]\d{0,3}$/.test(given.get('run') ?? '') ? Number(given.get('run')) - 1 : null;
  const order = ORDERS.find((known) => known === given.get('order')) ?? 'denied';
  const asked = (given.get('verdict') ?? '').split(',');
  const filters: Filters = {
    search: given.get('q') ?? '',
    verdicts: CHOICES.filter((choice) => asked.includes(choice)),
    kind: text('kind'),
    host: text('host'),
    rule: text('rule'),
    run,
    fromMs: timeOf(given.get('from')),
    toMs: timeOf(given.get('to')),
    muted: given.get('muted') === 'shown',
    order,
  };
  return {
    filters,
    selected: /^\d{1,4}\.\d{1,15}$/.test(given.get('event') ?? '') ? given.get('event') : null,
  };
}

function timeOf(text: string | null): number | null {
  const time = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

/** Names an entry among all of the page: the run's number from 1, and the event's. */
export function entryName(event: Pick<PageEvent, 'run' | 'seq'>): string {
  return `${event.run + 1}.${event.seq}`;
}

const CLOCK = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?$/;
const DAY = /^(\d{4}-\d{2}-\d{2})(?:[T ]+(\S+?))?Z?$/;

/** `20:15`, `20:15:00.5` of the day that `dayMs` is in, or with a day before it; UTC. Null: empty. Undefined: none of these. */
export function parseTime(text: string, dayMs: number): number | null | undefined {
  const trimmed = text.trim().replace(/ UTC$/, '');
  if (trimmed === '') return null;
  const [, day, clock = '00:00'] = DAY.exec(trimmed) ?? [undefined, undefined, trimmed];
  const [whole, hours = '', minutes = '', seconds = '00', part = '0'] = CLOCK.exec(clock) ?? [];
  if (whole === undefined) return undefined;
  const date = day ?? new Date(dayMs).toISOString().slice(0, 10);
  const time = Date.parse(`${date}T${hours.padStart(2, '0')}:${minutes}:${seconds}.${part.padEnd(3, '0')}Z`);
  return Number.isNaN(time) ? undefined : time;
}

/** What `parseTime` reads; without the day where that is the one of `dayMs`. */
export function formatTimeField(timeMs: number | null, dayMs: number): string {
  if (timeMs === null) return '';
  const text = new Date(timeMs)
    .toISOString()
    .slice(0, 23)
    .replace('T', ' ')
    .replace(/\.000$/, '');
  return text.startsWith(new Date(dayMs).toISOString().slice(0, 10)) ? text.slice(11) : text;
}
