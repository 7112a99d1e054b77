/**
 * What a run used of the network, and how two runs differ in it: `sand audit diff` prints it, and a baseline can
 * be made of it. Decides what counts as the same use and what as a change; how many times something was asked is no
 * change, bytes are one when their order of magnitude moves. Pure.
 */
import type { Row, RowVerdict } from './summary.ts';

/** One destination, over one protocol, and what became of it. */
export interface Use {
  readonly host: string;
  /** Null for a name that was only looked up. */
  readonly port: number | null;
  /** `http`, `https`, `tcp`, `connect`, `socks`, `udp`, `icmp`, `other`; `dns` where it was only looked up. */
  readonly protocol: string;
  /** The worst of what became of it: denied before would-be-denied, failed, allowed. */
  readonly verdict: RowVerdict;
  /** Ids of the rules that decided, sorted, each once; empty where none did. */
  readonly rules: readonly string[];
  readonly count: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
}

export interface UsageDiff {
  readonly appeared: readonly Use[];
  readonly vanished: readonly Use[];
  /** Both are there, and differ in verdict, rules, or the order of magnitude of their bytes. */
  readonly changed: readonly UseChange[];
}

export interface UseChange {
  readonly before: Use;
  readonly after: Use;
  readonly differs: readonly UseDifference[];
}

export type UseDifference = 'verdict' | 'rules' | 'bytesOut' | 'bytesIn';

const WORST_FIRST: readonly RowVerdict[] = ['denied', 'would-be-denied', 'failed', 'allowed'];

/**
 * Uses in the order of host, port and protocol, of rows as `Summary.rows` gives them. What a person asked on the
 * host is none of the run's use.
 */
export function usageOf(rows: readonly Row[]): readonly Use[] {
  const uses = new Map<string, Use>();
  for (const row of rows) {
    if (row.asker === 'host') continue;
    const use = useOf(row);
    const known = uses.get(keyOf(use));
    uses.set(keyOf(use), known === undefined ? use : joinUses(known, use));
  }
  return [...uses.values()].sort(compareUses);
}

/** What the first run did not use and the second did, and so on. Both as `usageOf` gives them. */
export function diffUsage(before: readonly Use[], after: readonly Use[]): UsageDiff {
  const old = new Map(before.map((use) => [keyOf(use), use]));
  const now = new Set(after.map(keyOf));
  const changed: UseChange[] = [];
  for (const use of after) {
    const known = old.get(keyOf(use));
    if (known === undefined) continue;
    const differs = differencesOf(known, use);
    if (differs.length > 0) changed.push({ before: known, after: use, differs });
  }
  return {
    appeared: after.filter((use) => !old.has(keyOf(use))),
    vanished: before.filter((use) => !now.has(keyOf(use))),
    changed,
  };
}

export function isSameUsage(diff: UsageDiff): boolean {
  return diff.appeared.length + diff.vanished.length + diff.changed.length === 0;
}

/** The decimal exponent: 0 for 1 to 9 bytes, 3 for kilobytes; -1 for nothing at all. */
export function magnitudeOf(bytes: number): number {
  return bytes < 1 ? -1 : Math.floor(Math.log10(bytes));
}

/**
 * Whether bytes moved by an order of magnitude: at least tenfold, so that 9,900 and 10,100 are the same. Below
 * `SMALL_BYTES` on both sides nothing is told: a handshake more is no news.
 */
export function isOtherMagnitude(before: number, after: number): boolean {
  const [less, more] = before < after ? [before, after] : [after, before];
  return more >= SMALL_BYTES && more >= 10 * Math.max(less, 1);
}

export const SMALL_BYTES = 10_000;

function differencesOf(before: Use, after: Use): readonly UseDifference[] {
  return [
    ...(before.verdict === after.verdict ? [] : ['verdict' as const]),
    ...(before.rules.join('\n') === after.rules.join('\n') ? [] : ['rules' as const]),
    ...(isOtherMagnitude(before.bytesOut, after.bytesOut) ? ['bytesOut' as const] : []),
    ...(isOtherMagnitude(before.bytesIn, after.bytesIn) ? ['bytesIn' as const] : []),
  ];
}

function useOf(row: Row): Use {
  const { host, port, verdict, count, bytesOut, bytesIn } = row;
  const protocol = row.how.find((how) => how !== 'dns') ?? 'dns';
  const rules = row.rule === null ? [] : [row.rule.id];
  return { host, port, protocol, verdict, rules, count, bytesOut, bytesIn };
}

function joinUses(a: Use, b: Use): Use {
  const worst = WORST_FIRST.find((verdict) => verdict === a.verdict || verdict === b.verdict);
  return {
    ...a,
    verdict: worst ?? a.verdict,
    rules: [...new Set([...a.rules, ...b.rules])].sort(),
    count: a.count + b.count,
    bytesOut: a.bytesOut + b.bytesOut,
    bytesIn: a.bytesIn + b.bytesIn,
  };
}

function keyOf({ host, port, protocol }: Use): string {
  return [host, port ?? '', protocol].join('\n');
}

function compareUses(a: Use, b: Use): number {
  return compareText(a.host, b.host) || (a.port ?? 0) - (b.port ?? 0) || compareText(a.protocol, b.protocol);
}

/** By code unit: the same everywhere, whatever the locale. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
