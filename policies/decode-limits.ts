/**
 * A map of limits in a policy file → numbers: counts, bytes and milliseconds, each within the bounds of its key.
 * Which keys stand where, and what holds of several, is for `guest-limits.ts`.
 */
import { parseByteSize } from './byte-size.ts';
import type { MapEntry, PolicyNode } from './document-tree.ts';
import {
  LIMIT_KEYS,
  type LimitField,
  type LimitKey,
  type LimitUnit,
  RULE_LIMIT_KEYS,
} from './guest-limits.ts';
import type { IssueList } from './issue.ts';
import { describe, type KeyTable, readMap, wholeNumber } from './node-reading.ts';

export const GUEST_LIMIT_TABLE: KeyTable = {
  place: '"limits"',
  known: LIMIT_KEYS.map(({ key }) => key),
  later: ['names'],
};
export const RULE_LIMIT_TABLE: KeyTable = {
  place: '"limits" of a rule',
  known: RULE_LIMIT_KEYS.map(({ key }) => key),
  later: [],
};

export type StatedLimits = Readonly<Partial<Record<LimitField, number>>>;

/** What is stated; null after reporting that there is no map. */
export function readLimits(entry: MapEntry, table: KeyTable, issues: IssueList): StatedLimits | null {
  const entries = readMap(entry.value, table, issues);
  if (entries === null) return null;
  const stated: Partial<Record<LimitField, number>> = {};
  for (const key of LIMIT_KEYS) {
    const one = entries.get(key.key);
    const value = one === undefined ? null : readLimit(key, one, issues);
    if (value !== null) stated[key.field] = value;
  }
  return stated;
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

const UNITS: Readonly<
  Record<
    LimitUnit,
    { readonly words: string; readonly hint: string; readonly read: (node: PolicyNode) => number | null }
  >
> = {
  count: { words: 'a whole number from 1', hint: 'Write', read: wholeNumber },
  bytes: {
    words: 'a number of bytes',
    hint: 'Write it with KiB, MiB or GiB, for example',
    read: (node) => wholeNumber(node) ?? readSize(node),
  },
  time: {
    words: 'a time',
    hint: 'Write it with s, m or h, for example',
    read: (node) => readUnits(node, /^([1-9]\d{0,6})(s|m|h)$/, UNIT_MS),
  },
};

function readLimit(
  { key, unit, least, most, sample }: LimitKey,
  entry: MapEntry,
  issues: IssueList,
): number | null {
  const { words, hint, read } = UNITS[unit];
  const { value } = entry;
  const number = read(value);
  if (number === null || number <= 0 || !Number.isSafeInteger(number)) {
    issues.error(
      value.at,
      `"${key}" is ${words}, and here stands ${describe(value)}`,
      `${hint} ${key}: ${sample}.`,
    );
    return null;
  }
  if (number >= least && number <= most) return number;
  // Fail closed: a number that sand would cut down says something else than what holds.
  issues.error(
    value.at,
    `"${key}" is outside its bounds, ${formatBound(least, unit)} to ${formatBound(most, unit)}`,
    `Write ${key}: ${sample}.`,
  );
  return null;
}

function readSize(node: PolicyNode): number | null {
  return node.kind === 'scalar' && typeof node.value === 'string' ? parseByteSize(node.value) : null;
}

function readUnits(node: PolicyNode, form: RegExp, units: Readonly<Record<string, number>>): number | null {
  const match = node.kind === 'scalar' && typeof node.value === 'string' ? form.exec(node.value) : null;
  if (match === null) return null;
  return Number(match[1]) * (units[match[2] ?? ''] ?? Number.NaN);
}

function formatBound(value: number, unit: LimitUnit): string {
  if (unit === 'time') return value % 3_600_000 === 0 ? `${value / 3_600_000}h` : `${value / 1_000}s`;
  return unit === 'bytes' && value % 1024 === 0 ? `${value / 1024}KiB` : String(value);
}
