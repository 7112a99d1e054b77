import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { comparePolicies } from '../../../policies/compare/compare.ts';
import type { PolicyChange, RequestWitness } from '../../../policies/compare/difference.ts';
import { evaluate, evaluateAddress } from '../../../policies/evaluate.ts';
import type { IpAddress, PolicyInForce } from '../../../policies/model.ts';
import { anyPolicy, anyRequirements, NOW_MS } from '../generators.ts';
import { egressOf, inForce, policyOf } from '../reader.ts';
import {
  GUESTS,
  type PlainPolicy,
  type PlainRequest,
  type PlainRule,
  referencePasses,
  referenceStarts,
} from '../reference.ts';
import { universeOf } from './universe.ts';

interface Pair {
  readonly before: readonly PlainPolicy[];
  readonly after: readonly PlainPolicy[];
}

const RANGES = [
  '203.0.113.0/24',
  '203.0.113.128/25',
  '10.0.0.0/8',
  '10.1.0.0/16',
  '::ffff:0:0/96',
  '0.0.0.0/0',
];
const anyRangeRule: fc.Arbitrary<PlainRule> = fc.oneof(
  fc.constantFrom(...RANGES).map((range): PlainRule => ({ deny: [range] })),
  fc.constantFrom(...RANGES).map((range): PlainRule => ({ allow: [range], tcp: [22] })),
  fc.constantFrom(...RANGES).map((range): PlainRule => ({ allow: ['a.example'], addresses: [range] })),
  fc.constantFrom<PlainRule>({ deny: ['host.sand'] }, { allow: ['**.example'] as const, https: [443] }),
);

/** Both are drawn from the same few rules, so that most of what they say is the same; sometimes under ceilings. */
const anyPair: fc.Arbitrary<Pair> = fc
  .record({
    pool: fc.tuple(anyPolicy, fc.array(anyRangeRule, { maxLength: 3 })),
    masks: fc.tuple(fc.nat(2 ** 11 - 1), fc.nat(2 ** 11 - 1)),
    modes: fc.constantFrom(
      ['enforce', 'enforce'],
      ['enforce', 'enforce'],
      ['report', 'enforce'],
      ['enforce', 'report'],
      ['report', 'report'],
    ),
    requires: fc.tuple(anyRequirements, anyRequirements),
    ceiling: fc.option(anyPolicy, { nil: null, freq: 3 }),
    ceilings: fc.constantFrom([true, true], [true, false], [false, true]),
  })
  .map(({ pool: [{ rules }, ranges], masks, modes, requires, ceiling, ceilings }) => {
    const all = [...rules, ...ranges];
    const side = (at: 0 | 1): readonly PlainPolicy[] => {
      const chosen = all.filter((_, place) => ((masks[at] >> place) & 1) === 1);
      const policy: PlainPolicy = {
        version: 1,
        mode: modes[at] === 'report' ? 'report' : 'enforce',
        rules: chosen,
        requires: requires[at],
      };
      return ceiling === null || ceilings[at] !== true ? [policy] : [policy, ceiling];
    };
    return { before: side(0), after: side(1) };
  });

function force([policy, ...ceilings]: readonly PlainPolicy[]): PolicyInForce {
  const compiled = (plain: PlainPolicy | undefined) => policyOf(JSON.stringify(plain));
  return inForce(compiled(policy), ...ceilings.map(compiled));
}

function passes(policy: PolicyInForce, request: PlainRequest, address: string, atMs: number): boolean {
  const verdict = evaluate(policy, egressOf(request), atMs);
  return evaluateAddress(policy, verdict, address as IpAddress, []).decision === 'allow';
}

/** Every request of the universe that one allows and the other does not: the first in each direction. */
function bruteForce(pair: Pair, before: PolicyInForce, after: PolicyInForce) {
  const { requests, addresses, times } = universeOf([...pair.before, ...pair.after], NOW_MS);
  const found: { widens: unknown; narrows: unknown } = { widens: null, narrows: null };
  for (const atMs of times) {
    for (const request of requests) {
      const asked = egressOf(request);
      const [was, is] = [evaluate(before, asked, atMs), evaluate(after, asked, atMs)];
      if (was.decision === 'deny' && is.decision === 'deny') continue;
      const dialled = asked.authority.host.kind === 'address' ? [request.host] : addresses;
      for (const address of dialled) {
        const passed = evaluateAddress(before, was, address as IpAddress, []).decision === 'allow';
        const passesNow = evaluateAddress(after, is, address as IpAddress, []).decision === 'allow';
        if (passed === passesNow) continue;
        found[passesNow ? 'widens' : 'narrows'] ??= { request, address, atMs };
        if (found.widens !== null && found.narrows !== null) return found;
      }
    }
  }
  return found;
}

/** Whether any guest that there is may start under one and not under the other, in either direction. */
function bruteForceGuests({ before, after }: Pair) {
  const judged = GUESTS.map((guest) => [before, after].map((side) => referenceStarts(side, guest)));
  return {
    widens: judged.some(([was, is]) => was === false && is === true),
    narrows: judged.some(([was, is]) => was === true && is === false),
  };
}

function plainOf({ authority: { host, port }, protocol, http }: RequestWitness): PlainRequest {
  const plain = { host: host.kind === 'name' ? host.name : host.address, port, protocol };
  return http === null ? plain : { ...plain, http };
}

const RUNS = 1_000;

describe('a comparison', () => {
  test('finds a difference where brute force finds one, and its witnesses are real', {
    timeout: 300_000,
  }, () => {
    let differing = 0;
    const unlike = { widens: 0, narrows: 0 };
    fc.assert(
      fc.property(anyPair, (pair) => {
        const [before, after] = [force(pair.before), force(pair.after)];
        const { changes } = comparePolicies(before, after, { nowMs: NOW_MS });
        const found = bruteForce(pair, before, after);
        const told = (direction: PolicyChange['direction']) =>
          changes.filter(
            (change) => change.direction === direction && !['limit', 'requires'].includes(change.aspect),
          );
        for (const direction of ['widens', 'narrows'] as const) {
          if (found[direction] === null) continue;
          differing += 1;
          expect([found[direction], told(direction).length > 0]).toEqual([found[direction], true]);
        }
        const guests = bruteForceGuests(pair);
        for (const direction of ['widens', 'narrows'] as const) {
          const isTold = changes.some((one) => one.aspect === 'requires' && one.direction === direction);
          expect([direction, pair.before[0]?.requires, pair.after[0]?.requires, isTold]).toEqual([
            direction,
            pair.before[0]?.requires,
            pair.after[0]?.requires,
            guests[direction],
          ]);
          if (isTold) unlike[direction] += 1;
        }
        for (const { witness, direction, text } of changes) {
          expect([text, witness === null]).toEqual([text, direction === 'neutral']);
          if (witness?.kind === 'guest') {
            const starts = [pair.before, pair.after].map((side) => referenceStarts(side, witness));
            const told = direction === 'widens' ? [false, true] : [true, false];
            expect([text, witness, starts]).toEqual([text, witness, told]);
          }
          if (witness?.kind !== 'request') continue;
          const request = plainOf(witness);
          const atMs = witness.atMs ?? NOW_MS;
          const expected = direction === 'widens' ? [false, true] : [true, false];
          const judged = [before, after].map((policy) => passes(policy, request, witness.address, atMs));
          expect([text, witness, judged]).toEqual([text, witness, expected]);
          const byReference = [pair.before, pair.after].map(([policy, ...ceilings]) =>
            policy === undefined ? null : referencePasses(policy, ceilings, request, witness.address, atMs),
          );
          expect([text, witness, byReference]).toEqual([text, witness, expected]);
        }
      }),
      { numRuns: RUNS, seed: 7 },
    );
    expect(differing).toBeGreaterThan(RUNS / 2);
    expect(unlike.widens).toBeGreaterThan(RUNS / 10);
    expect(unlike.narrows).toBeGreaterThan(RUNS / 10);
  });
});
