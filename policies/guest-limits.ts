/**
 * The limits that a policy may set for a guest: their keys, units, bounds and defaults, and which of several
 * holds. Reading them from a file is for `decode-limits.ts`; whoever carries bytes holds the guest to them.
 */
import type { PolicyLimits, RuleLimits } from './model.ts';

export type LimitField = keyof PolicyLimits;
export type LimitUnit = 'count' | 'bytes' | 'time';

export interface LimitKey {
  /** As written in a policy. */
  readonly key: string;
  readonly field: LimitField;
  readonly unit: LimitUnit;
  /** Inclusive; milliseconds for times. */
  readonly least: number;
  readonly most: number;
  /** A value as an error message shows it. */
  readonly sample: string;
}

const HOUR_MS = 60 * 60_000;
const ANY_BYTES = { unit: 'bytes', least: 1, most: Number.MAX_SAFE_INTEGER } as const;
/** A tick of the clock is no limit; a week is more than any guest lives, and within what a timer can count. */
const ANY_TIME = { unit: 'time', least: 1_000, most: 7 * 24 * HOUR_MS } as const;

export const LIMIT_KEYS: readonly LimitKey[] = [
  {
    key: 'connections',
    field: 'connections',
    unit: 'count',
    least: 1,
    /** Each takes two descriptors, and a process has few tens of thousands. */
    most: 4096,
    sample: '256',
  },
  {
    key: 'requestsPerSecond',
    field: 'requestsPerSecond',
    unit: 'count',
    least: 1,
    /** More than one process records. */
    most: 10_000,
    sample: '50',
  },
  { key: 'bytesOut', field: 'bytesOut', ...ANY_BYTES, sample: '2GiB' },
  { key: 'bytesIn', field: 'bytesIn', ...ANY_BYTES, sample: '20GiB' },
  {
    key: 'headBytes',
    field: 'headBytes',
    unit: 'bytes',
    /** A browser's request with cookies fits into less than this. */
    least: 1024,
    /** Held in memory for each connection until the head is whole. */
    most: 64 * 1024,
    sample: '16KiB',
  },
  { key: 'bodyBytes', field: 'bodyBytes', ...ANY_BYTES, sample: '50MiB' },
  { key: 'idle', field: 'idleMs', ...ANY_TIME, sample: '30s' },
  { key: 'total', field: 'totalMs', ...ANY_TIME, sample: '1h' },
];

/** What one rule may limit for all that it admits: a part of the same keys. */
export const RULE_LIMIT_FIELDS: readonly (keyof RuleLimits)[] = ['connections', 'bytesOut', 'bytesIn'];
export const RULE_LIMIT_KEYS: readonly LimitKey[] = LIMIT_KEYS.filter(({ field }) =>
  RULE_LIMIT_FIELDS.some((one) => one === field),
);

export const NO_LIMITS: PolicyLimits = mapLimits(() => null);
/** What holds where no policy says. */
export const DEFAULT_LIMITS = {
  /** Far above any build, far below the descriptors of a process. */
  connections: 1024,
  /** Refused ones too: an installer on plain HTTP makes tens, a scanner thousands. */
  requestsPerSecond: 200,
  bytesOut: null,
  bytesIn: null,
  /** Node's own default. */
  headBytes: 16 * 1024,
  bodyBytes: null,
  /** Long polls and idle database sessions live; forgotten ones end. */
  idleMs: HOUR_MS,
  totalMs: null,
} as const satisfies PolicyLimits;

/** Of each limit the least that anybody states. */
export function strictestLimits(all: readonly PolicyLimits[]): PolicyLimits {
  return mapLimits(({ field }) => leastOf(all.map((limits) => limits[field])));
}

/** Null where all are. */
export function leastOf(values: readonly (number | null)[]): number | null {
  const stated = values.filter((value) => value !== null);
  return stated.length === 0 ? null : Math.min(...stated);
}

/** What is stated, as it is written canonically: bytes as plain numbers, times in seconds. */
export function formatLimits(limits: Partial<PolicyLimits>): string {
  const entries = LIMIT_KEYS.flatMap(({ key, field, unit }) => {
    const value = limits[field] ?? null;
    if (value === null) return [];
    return [`${key}: ${unit === 'time' ? `${value / 1_000}s` : value}`];
  });
  return `{${entries.join(', ')}}`;
}

export function mapLimits(value: (key: LimitKey) => number | null): PolicyLimits {
  const fields = Object.fromEntries(LIMIT_KEYS.map((key) => [key.field, value(key)]));
  return fields as Record<LimitField, number | null>;
}
