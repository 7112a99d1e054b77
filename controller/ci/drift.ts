/**
 * In what a run differs from its baseline. Decides what counts as drift: something new, something gone, bytes of another
 * order of magnitude; how often something was asked for is none. Pure.
 */
import type { Use } from '../../audit/usage.ts';
import {
  type Baseline,
  type BaselineDenial,
  type BaselineHost,
  compareText,
  coveringDenial,
  coveringHost,
  keyOf,
  type RunUsage,
} from './baseline.ts';
import { compareToMagnitude } from './magnitude.ts';

export type DriftKind =
  | 'new-host'
  | 'new-port'
  | 'new-denial'
  | 'bytes-out'
  | 'bytes-in'
  | 'vanished-host'
  | 'unused-rule'
  | 'too-many-hosts';

export interface Drift {
  readonly kind: DriftKind;
  /** Null where it is about a rule, or about the run. */
  readonly host: string | null;
  readonly port: number | null;
  readonly protocol: string | null;
  /** Of bytes: the recorded order of magnitude. Of a denial: its reason. */
  readonly recorded: string | null;
  /** Bytes that were moved, where they are the news. */
  readonly bytes: number | null;
  /** What allows what is new, what allowed what is gone; of `unused-rule` the rule. */
  readonly rules: readonly string[];
  /** Why a new denial was denied. */
  readonly reason: string | null;
}

const NOTHING = {
  host: null,
  port: null,
  protocol: null,
  recorded: null,
  bytes: null,
  rules: [],
  reason: null,
};

/**
 * `isWhole`: the command came to its good end. One that did not may have had no time to use what is missing, so then
 * only what is new, or more, is told. New things first.
 */
export function findDrift(baseline: Baseline, usage: RunUsage, isWhole: boolean): readonly Drift[] {
  const covered = Map.groupBy(usage.used, (use) => {
    const host = coveringHost(baseline, use);
    return host === null ? '' : keyOf({ host, port: use.port, protocol: use.protocol });
  });
  const strangers = covered.get('') ?? [];
  const known = new Set(baseline.hosts.map(({ host }) => host));
  return [
    // Fail closed: what is not told apart cannot be compared.
    ...(usage.isCut ? [{ ...NOTHING, kind: 'too-many-hosts' } as const] : []),
    ...strangers.map((use) => newUse(use, known.has(use.host))),
    ...usage.denied.filter((one) => coveringDenial(baseline, one) === null).map(newDenial),
    ...baseline.hosts.flatMap((entry) => bytesDrift(entry, covered.get(keyOf(entry)) ?? [], isWhole)),
    ...(isWhole ? baseline.hosts.filter((entry) => !covered.has(keyOf(entry))).map(vanished) : []),
    ...(isWhole ? unusedRules(baseline, usage) : []),
  ];
}

function newUse({ host, port, protocol, rules }: Use, isKnown: boolean): Drift {
  return { ...NOTHING, kind: isKnown ? 'new-port' : 'new-host', host, port, protocol, rules };
}

function newDenial({ host, port, protocol, reason }: BaselineDenial): Drift {
  return { ...NOTHING, kind: 'new-denial', host, port, protocol, reason };
}

function vanished({ host, port, protocol, rules }: BaselineHost): Drift {
  return { ...NOTHING, kind: 'vanished-host', host, port, protocol, rules };
}

const DIRECTIONS = [
  ['bytes-out', 'bytesOut'],
  ['bytes-in', 'bytesIn'],
] as const;

function bytesDrift(entry: BaselineHost, uses: readonly Use[], isWhole: boolean): readonly Drift[] {
  if (uses.length === 0) return [];
  const { host, port, protocol, rules } = entry;
  return DIRECTIONS.flatMap(([kind, field]) => {
    const bytes = uses.reduce((total, use) => total + use[field], 0);
    const recorded = entry[field];
    const shift = compareToMagnitude(bytes, recorded);
    // Less of a part is no news of the whole.
    if (shift === 'same' || (shift === 'less' && !isWhole)) return [];
    return [{ ...NOTHING, kind, host, port, protocol, recorded, bytes, rules }];
  });
}

function unusedRules(baseline: Baseline, usage: RunUsage): readonly Drift[] {
  const used = new Set(usage.used.flatMap(({ rules }) => rules));
  const recorded = new Set(baseline.hosts.flatMap(({ rules }) => rules));
  return [...recorded]
    .filter((rule) => !used.has(rule))
    .sort(compareText)
    .map((rule) => ({ ...NOTHING, kind: 'unused-rule', rules: [rule] }) as const);
}
