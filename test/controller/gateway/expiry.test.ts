import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { nextExpiry, watchExpiry } from '../../../controller/gateway/expiry.ts';
import { createPolicyReader } from '../../../controller/run/policy-reader.ts';
import { compilePolicy } from '../../../policies/compile.ts';
import type { PolicyInForce } from '../../../policies/model.ts';

const NOON = Date.parse('2027-01-31T12:00:00Z');

function policy(...untils: readonly string[]): PolicyInForce['policy'] {
  const rules = untils.map((until, at) => `  - allow: h${at}.example\n    until: ${until}\n`);
  const text = `version: 1\nname: timed\nrules:\n  - allow: always.example\n${rules.join('')}`;
  const compiled = compilePolicy(
    [{ kind: 'text', text, file: 'p.yaml', directory: '/' }],
    createPolicyReader('/'),
  );
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.issues));
  return compiled.value;
}

const inForce = (...untils: readonly string[]): PolicyInForce => ({
  policy: policy(...untils),
  ceilings: [],
});

describe('the next expiry', () => {
  it('is the first that is still to come', () => {
    const timed = inForce('2027-01-31T11:00:00Z', '2027-01-31T14:00:00Z', '2027-01-31T13:00:00Z');
    expect(nextExpiry(timed, NOON)).toBe(Date.parse('2027-01-31T13:00:00Z'));
  });

  it('is none where every rule stays, or has passed', () => {
    expect(nextExpiry(inForce(), NOON)).toBeNull();
    expect(nextExpiry(inForce('2027-01-31T11:00:00Z'), NOON)).toBeNull();
  });

  it('may be that of a ceiling', () => {
    const timed = { policy: policy(), ceilings: [policy('2027-01-31T13:00:00Z')] };
    expect(nextExpiry(timed, NOON)).toBe(Date.parse('2027-01-31T13:00:00Z'));
  });
});

describe('a watch', () => {
  let nowMs = NOON;
  const expired = vi.fn();
  beforeEach(() => {
    vi.useFakeTimers();
    nowMs = NOON;
    expired.mockReset();
  });
  afterEach(() => vi.useRealTimers());
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= 1_000) {
      nowMs += 1_000;
      vi.advanceTimersByTime(1_000);
    }
  };

  it('tells each expiry once, at its time', () => {
    const watch = watchExpiry(inForce('2027-01-31T12:01:00Z', '2027-01-31T12:03:00Z'), () => nowMs, expired);
    pass(59_000);
    expect(expired).not.toHaveBeenCalled();
    pass(2_000);
    expect(expired).toHaveBeenCalledTimes(1);
    pass(600_000);
    expect(expired).toHaveBeenCalledTimes(2);
    watch.close();
  });

  it('follows a clock that is set forward', () => {
    const watch = watchExpiry(inForce('2027-02-28T12:00:00Z'), () => nowMs, expired);
    nowMs = Date.parse('2027-03-01T00:00:00Z');
    vi.advanceTimersByTime(30_000);
    expect(expired).toHaveBeenCalledTimes(1);
    watch.close();
  });

  it('follows a reload, and ends', () => {
    const watch = watchExpiry(inForce('2027-01-31T12:01:00Z'), () => nowMs, expired);
    watch.replace(inForce('2027-01-31T12:10:00Z'));
    pass(120_000);
    expect(expired).not.toHaveBeenCalled();
    watch.close();
    pass(1_200_000);
    expect(expired).not.toHaveBeenCalled();
  });
});
