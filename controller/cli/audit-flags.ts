/** What the flags of `sand audit` mean: times, durations, sizes, hosts and kinds, as criteria. Raises `usage` with what to write. */
import { type Criteria, type EventKind, type HostChoice, parseHostChoice } from '../../audit/selection.ts';
import { usage } from '../run/options.ts';

export interface FilterFlags {
  readonly denied: boolean;
  readonly host: readonly string[];
  readonly rule: readonly string[];
  readonly since?: string;
  readonly until?: string;
  readonly kind: readonly string[];
  readonly bytesOver?: string;
}

/** Every kind of an event, for `--kind`. */
const KINDS: Readonly<Record<EventKind, true>> = {
  'run-start': true,
  probe: true,
  dns: true,
  connection: true,
  close: true,
  inbound: true,
  unplanted: true,
  phase: true,
  exec: true,
  'exec-end': true,
  answer: true,
  notice: true,
  'run-end': true,
};

export function parseFilters(flags: FilterFlags, nowMs: number): Criteria {
  const sinceMs = flags.since === undefined ? null : parseMoment('--since', flags.since, nowMs);
  const untilMs = flags.until === undefined ? null : parseMoment('--until', flags.until, nowMs);
  if (sinceMs !== null && untilMs !== null && sinceMs >= untilMs)
    throw usage(
      `--since ${flags.since} is not before --until ${flags.until}`,
      'write the earlier time as --since; a duration counts back from now',
    );
  return {
    denied: flags.denied,
    hosts: flags.host.map(parseHostFlag),
    rules: flags.rule,
    sinceMs,
    untilMs,
    kinds: flags.kind.flatMap((text) => text.split(',')).map(parseKind),
    bytesOver: flags.bytesOver === undefined ? null : parseSize('--bytes-over', flags.bytesOver),
  };
}

function parseHostFlag(text: string): HostChoice {
  const read = parseHostChoice(text);
  if (read.ok) return read.value;
  throw usage(`--host ${text}: ${read.message}`, read.hint);
}

function parseKind(text: string): EventKind {
  const kinds = Object.keys(KINDS) as readonly EventKind[];
  const kind = kinds.find((one) => one === text);
  if (kind !== undefined) return kind;
  throw usage(`--kind ${text}: there is no such kind of event`, `write one of: ${kinds.join(', ')}`);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Ten years: whoever writes more means something else. */
const LONGEST_MS = 3_660 * 86_400_000;

/** `90s`, `10m`, `2h`, `30d`, `4w`: milliseconds. */
export function parseAge(flag: string, text: string): number {
  const ageMs = ageOf(text);
  if (ageMs !== null) return ageMs;
  throw usage(`${flag} ${text}: not a duration`, `write for example ${flag} 12h, ${flag} 30d or ${flag} 8w`);
}

function ageOf(text: string): number | null {
  const [, number, unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)([smhdw])$/.exec(text) ?? [];
  if (number === undefined) return null;
  const ageMs = Math.round(Number(number) * (UNIT_MS[unit] ?? Number.NaN));
  return ageMs <= LONGEST_MS ? ageMs : null;
}

/** A duration back from now, a day, or a time; without a zone it is UTC, like the log. Milliseconds since the epoch. */
export function parseMoment(flag: string, text: string, nowMs: number): number {
  const ageMs = ageOf(text);
  if (ageMs !== null) return nowMs - ageMs;
  const momentMs = momentOf(text, nowMs);
  if (momentMs !== null) return momentMs;
  throw usage(
    `${flag} ${text}: neither a duration nor a time`,
    `write for example ${flag} 10m, ${flag} 14:30, ${flag} 2026-11-21 or ${flag} 2026-11-21T20:15:00Z; times are UTC unless they have a zone`,
  );
}

const DAY = /^\d{4}-\d\d-\d\d$/;
const CLOCK = /^\d\d:\d\d(:\d\d(\.\d{1,3})?)?$/;
const ZONE = /(Z|[+-]\d\d:\d\d)$/;

function momentOf(text: string, nowMs: number): number | null {
  const [first = '', second, ...rest] = text.split(/[T ]/);
  if (rest.length > 0) return null;
  if (second === undefined && CLOCK.test(first))
    return instantOf(new Date(nowMs).toISOString().slice(0, 10), first, 'Z');
  if (!DAY.test(first)) return null;
  if (second === undefined) return instantOf(first, '00:00', 'Z');
  const [zone = ''] = ZONE.exec(second) ?? [];
  const clock = second.slice(0, second.length - zone.length);
  return CLOCK.test(clock) ? instantOf(first, clock, zone === '' ? 'Z' : zone) : null;
}

/** Null for the 31st of February, which Date would move into March. */
function instantOf(day: string, clock: string, zone: string): number | null {
  const midnight = new Date(`${day}T00:00Z`);
  const isReal = !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
  const instantMs = Date.parse(`${day}T${clock}${zone}`);
  return isReal && !Number.isNaN(instantMs) ? instantMs : null;
}

const SIZE = /^(\d{1,12})(?:([kmgt])(?:ib)?)?$/i;
const POWERS: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4 };

/** `500` bytes, `64k`, `2MiB`: powers of 1024. 1 MB is two different sizes, and none. */
export function parseSize(flag: string, text: string): number {
  const [, digits, unit = ''] = SIZE.exec(text) ?? [];
  const bytes = Number(digits ?? Number.NaN) * 1024 ** (POWERS[unit.toLowerCase()] ?? Number.NaN);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw usage(`${flag} ${text}: not a size`, `write for example ${flag} 500, ${flag} 64KiB or ${flag} 2GiB`);
}

/** From 1 up to `most`. */
export function parseLimit(flag: string, text: string, most: number): number {
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (limit >= 1 && limit <= most) return limit;
  throw usage(`${flag} ${text}: not a number from 1 to ${most}`, `write for example ${flag} 10`);
}
