import { describe, expect, test } from 'vitest';
import { createNameQuota, createRateLimit, wildcardOf } from '../../dns/admission.ts';
import type { Rule, Verdict } from '../../policies/model.ts';
import { name, rule } from './world.ts';

function granted(...grants: readonly Rule[]): Verdict {
  return {
    decision: 'allow',
    reason: 'allowed-by-rule',
    rule: grants[0] ?? null,
    protocols: ['https'],
    grants,
    muted: false,
    suggestion: null,
  };
}

describe('the rate limit', () => {
  test('admits a burst, then as many as its rate', () => {
    let now = 0;
    const limit = createRateLimit(3, 10, () => now);
    expect([1, 2, 3, 4].map(() => limit.take())).toEqual([true, true, true, false]);
    now = 100;
    expect([limit.take(), limit.take()]).toEqual([true, false]);
    now = 60_000;
    expect([1, 2, 3, 4].map(() => limit.take())).toEqual([true, true, true, false]);
  });

  test('a clock that jumps back gives nothing', () => {
    let now = 1_000;
    const limit = createRateLimit(1, 10, () => now);
    limit.take();
    now = 0;
    expect(limit.take()).toBe(false);
  });
});

describe('the name quota', () => {
  const wildcard = granted(rule('*.example.com'));

  test('admits so many distinct names under one wildcard, and those again', () => {
    const quota = createNameQuota(2, 0);
    expect(quota.admit(wildcard, name('a.example.com'))).toBe(true);
    expect(quota.admit(wildcard, name('b.example.com'))).toBe(true);
    expect(quota.admit(wildcard, name('c.example.com'))).toBe(false);
    expect(quota.admit(wildcard, name('a.example.com'))).toBe(true);
  });

  test('counts each wildcard by itself', () => {
    const quota = createNameQuota(1, 0);
    expect(quota.admit(wildcard, name('a.example.com'))).toBe(true);
    expect(quota.admit(granted(rule('*.example.org')), name('a.example.org'))).toBe(true);
  });

  test('a name that some rule spells out does not count', () => {
    const quota = createNameQuota(0, 0);
    const both = granted(rule('*.example.com'), rule('api.example.com'));
    expect(quota.admit(both, name('api.example.com'))).toBe(true);
    expect(wildcardOf(both, name('www.example.com'))).toBe('test/allow:*.example.com');
  });

  test('what no rule grants (report mode) has a bound of its own, over all names', () => {
    const quota = createNameQuota(0, 2);
    expect(quota.admit(granted(), name('a.example.com'))).toBe(true);
    expect(quota.admit(granted(), name('b.example.org'))).toBe(true);
    expect(quota.admit(granted(), name('c.example.net'))).toBe(false);
    expect(quota.admit(granted(), name('a.example.com'))).toBe(true);
    expect(quota.admit(wildcard, name('d.example.com'))).toBe(false);
    expect(quota.admit(granted(rule('api.example.com')), name('api.example.com'))).toBe(true);
  });
});
