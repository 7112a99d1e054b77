/**
 * What a guest may ask at all: how often, and how many distinct names under one wildcard or under no rule at all,
 * because a label under `*.example.com` can carry data out. Decides on counts only; names are judged by the policy.
 */
import type { Hostname, Verdict } from '../policies/model.ts';

export interface RateLimit {
  /** Whether one more request is admitted now. */
  take(): boolean;
}

/** A token bucket. `now` gives milliseconds that do not run backwards. */
export function createRateLimit(burst: number, perSecond: number, now: () => number): RateLimit {
  let tokens = burst;
  let last = now();
  return {
    take() {
      const current = now();
      tokens = Math.min(burst, tokens + (Math.max(0, current - last) / 1_000) * perSecond);
      last = current;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}

export interface NameQuota {
  /** Whether this name may be used under what allowed it. Names that were admitted once stay admitted. */
  admit(verdict: Verdict, name: Hostname): boolean;
}

/** `namesUngranted` bounds what no rule grants and report mode lets pass. */
export function createNameQuota(namesPerWildcard: number, namesUngranted: number): NameQuota {
  const seen = new Map<string, Set<Hostname>>();
  const ungranted = new Set<Hostname>();
  return {
    admit(verdict, name) {
      if (verdict.grants.length === 0) return admitTo(ungranted, name, namesUngranted);
      const rule = wildcardOf(verdict, name);
      if (rule === null) return true;
      const names = seen.get(rule) ?? new Set();
      seen.set(rule, names);
      return admitTo(names, name, namesPerWildcard);
    },
  };
}

function admitTo(names: Set<Hostname>, name: Hostname, most: number): boolean {
  if (names.has(name)) return true;
  if (names.size >= most) return false;
  names.add(name);
  return true;
}

/** The id of the wildcard rule that the name hangs on; null where a rule spells it out, or none grants it. */
export function wildcardOf(verdict: Verdict, name: Hostname): string | null {
  let wildcard: string | null = null;
  for (const rule of verdict.grants) {
    for (const subject of rule.subjects) {
      if (subject.kind !== 'names' || !subject.pattern.matches(name)) continue;
      if (!subject.pattern.labels.some((label) => label.includes('*'))) return null;
      wildcard ??= rule.id;
    }
  }
  return wildcard;
}
