import { describe, expect, test } from 'vitest';
import { TYPES } from '../../dns/message.ts';
import {
  type Plan,
  type PlanInput,
  planDenied,
  planQuestion,
  planUnresolved,
  planVetted,
  refuse,
} from '../../dns/plan.ts';
import { classifyName } from '../../dns/subject.ts';
import type { AddressVerdict, Rule, Verdict } from '../../policies/model.ts';
import { address, name, question, rule } from './world.ts';

function verdict(shape: Partial<Verdict> = {}): Verdict {
  return {
    decision: 'allow',
    reason: 'allowed-by-rule',
    rule: null,
    protocols: ['https'],
    grants: [],
    muted: false,
    suggestion: null,
    ...shape,
  };
}

const DENIED = verdict({ decision: 'deny', reason: 'no-rule', protocols: [] });

function plan(text: string, type: number, shape: Partial<PlanInput> = {}): Plan {
  return planQuestion({
    question: question(text, type),
    subject: classifyName(text),
    verdict: null,
    mode: 'synthetic',
    reporting: false,
    isProbe: () => false,
    nameOf: () => null,
    ...shape,
  });
}

/** Outcome of a plan that is an answer already, in short. */
function told(it: Plan): unknown {
  if (it.step !== 'answer') return it.step;
  const { answer, verdict: decision, reason } = it.outcome;
  return [answer.rcode, decision, reason, answer.records.map((record) => record.data).join(' ')];
}

const EVERY_TYPE = [...Object.values(TYPES), 0, 3, 249, 65_535];

describe('planQuestion', () => {
  test('a denied name is NXDOMAIN for every type, in every mode: nothing is left to do', () => {
    for (const type of EVERY_TYPE) {
      for (const mode of ['synthetic', 'vetted'] as const) {
        for (const reporting of [false, true]) {
          const it = plan('evil.example', type, { verdict: DENIED, mode, reporting });
          expect(told(it)).toEqual(['NXDOMAIN', 'deny', 'no-rule', '']);
        }
      }
    }
  });

  test('an allowed A question gets a synthetic address, and nothing is asked', () => {
    expect(plan('a.example', TYPES.A, { verdict: verdict() })).toMatchObject({
      step: 'allocate',
      name: 'a.example',
    });
  });

  test('an allowed AAAA question is empty: synthetic addresses are IPv4', () => {
    const it = plan('a.example', TYPES.AAAA, { verdict: verdict() });
    expect(told(it)).toEqual(['NOERROR', 'allow', 'allowed-by-rule', '']);
  });

  test('every other type of an allowed name is withheld, in every mode', () => {
    for (const type of EVERY_TYPE.filter((it) => it !== TYPES.A && it !== TYPES.AAAA)) {
      for (const mode of ['synthetic', 'vetted'] as const) {
        for (const reporting of [false, true]) {
          const it = plan('a.example', type, { verdict: verdict(), mode, reporting });
          expect(told(it)).toEqual(['NOERROR', 'allow', 'dns-type-withheld', '']);
        }
      }
    }
  });

  test('in report mode the upstream is asked before an address is given', () => {
    const reporting = { verdict: verdict({ reason: 'would-be-denied' }), reporting: true };
    expect(plan('a.example', TYPES.A, reporting)).toMatchObject({ step: 'lookup', purpose: 'allocate' });
    expect(plan('a.example', TYPES.AAAA, reporting)).toMatchObject({ step: 'lookup', purpose: 'nothing' });
  });

  test('vetted answers ask the upstream and vet', () => {
    for (const type of [TYPES.A, TYPES.AAAA]) {
      expect(plan('a.example', type, { verdict: verdict(), mode: 'vetted' })).toMatchObject({
        step: 'lookup',
        purpose: 'vet',
      });
    }
  });

  test('a name without a verdict fails closed', () => {
    expect(told(plan('a.example', TYPES.A))).toEqual(['SERVFAIL', 'deny', 'internal-error', '']);
  });

  test('a class other than IN is refused', () => {
    const it = plan('version.bind', TYPES.TXT, {
      question: question('version.bind', TYPES.TXT, { class: 3 }),
      verdict: verdict(),
    });
    expect(told(it)).toEqual(['REFUSED', 'deny', 'dns-type-withheld', '']);
  });

  test('the root is refused, so that no cache learns that nothing exists', () => {
    expect(told(plan('', TYPES.NS))).toEqual(['REFUSED', 'deny', 'no-rule', '']);
  });

  test.each([
    '1.2.3.4',
    '127.1',
    '0x7f.1',
    '2130706433',
    'a'.repeat(64),
    Array.from({ length: 4 }, () => 'a'.repeat(63)).join('.'),
  ])('%s is no hostname and NXDOMAIN', (text) => {
    expect(told(plan(text, TYPES.A))).toEqual(['NXDOMAIN', 'deny', 'dns-malformed', '']);
  });
});

describe('reserved names', () => {
  test('localhost is loopback, for itself and below', () => {
    for (const text of ['localhost', 'LocalHost', 'x.localhost']) {
      expect(told(plan(text, TYPES.A))).toEqual(['NOERROR', 'allow', 'reserved-name', '127.0.0.1']);
      expect(told(plan(text, TYPES.AAAA))).toEqual(['NOERROR', 'allow', 'reserved-name', '::1']);
      expect(told(plan(text, TYPES.TXT))).toEqual(['NOERROR', 'allow', 'reserved-name', '']);
    }
  });

  test.each([
    'sand',
    'x.sand',
    'a.b.sand',
    'x.probe.sand',
    'onion',
    'x.onion',
    'x.invalid',
    '1.0.0.ip6.arpa',
    '8.8.8.8.in-addr.arpa',
    'x.in-addr.arpa',
  ])('%s never leaves, even where the policy allows everything', (text) => {
    for (const type of EVERY_TYPE) {
      for (const mode of ['synthetic', 'vetted'] as const) {
        const it = plan(text, type, { verdict: verdict(), mode, reporting: true });
        expect(told(it)).toEqual(['NXDOMAIN', 'allow', 'reserved-name', '']);
      }
    }
  });

  test('the reverse of a synthetic address is its name', () => {
    const nameOf = (it: string) => (it === '198.18.1.1' ? name('a.example') : null);
    expect(told(plan('1.1.18.198.in-addr.arpa', TYPES.PTR, { nameOf }))).toEqual([
      'NOERROR',
      'allow',
      'reserved-name',
      'a.example',
    ]);
    expect(told(plan('1.1.18.198.in-addr.arpa', TYPES.A, { nameOf }))).toEqual([
      'NOERROR',
      'allow',
      'reserved-name',
      '',
    ]);
    expect(told(plan('2.1.18.198.in-addr.arpa', TYPES.PTR, { nameOf }))).toEqual([
      'NXDOMAIN',
      'allow',
      'reserved-name',
      '',
    ]);
  });

  test('a registered probe is answered by this gateway alone', () => {
    const isProbe = (it: string): boolean => it === 'n1.probe.sand';
    expect(plan('n1.probe.sand', TYPES.A, { isProbe })).toEqual({ step: 'probe', name: 'n1.probe.sand' });
    expect(told(plan('n1.probe.sand', TYPES.AAAA, { isProbe }))).toEqual([
      'NOERROR',
      'allow',
      'reserved-name',
      '',
    ]);
    expect(told(plan('n2.probe.sand', TYPES.A, { isProbe }))).toEqual([
      'NXDOMAIN',
      'allow',
      'reserved-name',
      '',
    ]);
  });
});

describe('host.sand', () => {
  const granted = (...grants: readonly Rule[]): Verdict => verdict({ grants });

  test('gets an address where a rule grants it, and is never asked upstream', () => {
    const shape = { verdict: granted(rule('host.sand')) };
    for (const mode of ['synthetic', 'vetted'] as const) {
      for (const reporting of [false, true]) {
        expect(plan('host.sand', TYPES.A, { ...shape, mode, reporting })).toMatchObject({ step: 'allocate' });
        expect(told(plan('host.sand', TYPES.AAAA, { ...shape, mode, reporting }))).toMatchObject([
          'NOERROR',
          'allow',
          expect.anything(),
          '',
        ]);
      }
    }
  });

  test('is not opened by report mode', () => {
    const it = plan('host.sand', TYPES.A, {
      verdict: verdict({ reason: 'would-be-denied' }),
      reporting: true,
    });
    expect(told(it)).toEqual(['NXDOMAIN', 'deny', 'no-rule', '']);
  });

  test('is denied like any name', () => {
    expect(told(plan('host.sand', TYPES.A, { verdict: DENIED }))).toEqual([
      'NXDOMAIN',
      'deny',
      'no-rule',
      '',
    ]);
  });
});

describe('planVetted', () => {
  const allow: AddressVerdict = { decision: 'allow', reason: 'allowed-by-rule', rule: null };
  const guarded: AddressVerdict = { decision: 'deny', reason: 'address-guarded', rule: null };
  const v4 = address('192.0.2.7');
  const v6 = address('2001:db8::7');

  test('gives the addresses that the guard lets through, of the type that was asked', () => {
    const judged = [
      { address: v4, verdict: allow },
      { address: address('10.0.0.1'), verdict: guarded },
      { address: v6, verdict: allow },
    ];
    expect(planVetted(question('a.example', TYPES.A), verdict(), judged).answer.records).toEqual([
      { type: 'A', data: v4 },
    ]);
    expect(planVetted(question('a.example', TYPES.AAAA), verdict(), judged).answer.records).toEqual([
      { type: 'AAAA', data: v6 },
    ]);
  });

  test('is a refusal with the guard\u2019s reason where none passes', () => {
    const outcome = planVetted(question('a.example'), verdict(), [{ address: v4, verdict: guarded }]);
    expect([outcome.verdict, outcome.reason, outcome.answer.rcode]).toEqual([
      'deny',
      'address-guarded',
      'NXDOMAIN',
    ]);
  });

  test('is an empty answer where only the other type passes', () => {
    const outcome = planVetted(question('a.example', TYPES.AAAA), verdict(), [
      { address: v4, verdict: allow },
    ]);
    expect([outcome.verdict, outcome.answer.rcode, outcome.answer.records.length]).toEqual([
      'allow',
      'NOERROR',
      0,
    ]);
  });

  test('no address at all is a refusal', () => {
    expect(planVetted(question('a.example'), verdict(), []).verdict).toBe('deny');
  });
});

describe('what is told', () => {
  test('a name that does not exist, one without addresses and a failure differ', () => {
    const told = (it: Parameters<typeof planUnresolved>[1]): unknown => {
      const outcome = planUnresolved(verdict(), it);
      return [outcome.answer.rcode, outcome.reason, outcome.disposition];
    };
    expect(told({ kind: 'not-found', exists: false })).toEqual(['NXDOMAIN', 'dns-not-found', 'answered']);
    expect(told({ kind: 'not-found', exists: true })).toEqual(['NOERROR', 'dns-not-found', 'answered']);
    expect(told({ kind: 'failed', detail: 'x' })).toEqual(['SERVFAIL', 'dns-failed', 'refused']);
  });

  test('a denial names the rule in its extended error, short and in ASCII, and no path', () => {
    const denying = { ...rule('evil.example', { verb: 'deny' }), id: `layer/deny:${'x'.repeat(300)}\u2028` };
    const outcome = planDenied(verdict({ decision: 'deny', reason: 'deny-rule', rule: denying }));
    expect(outcome.answer.extendedError?.code).toBe(15);
    expect(outcome.answer.extendedError?.text).toMatch(/^sand: deny-rule \(layer\/deny:x+$/);
    expect(outcome.answer.extendedError?.text.length).toBe(120);
    expect(outcome.answer.extendedError?.text).not.toContain('test.yaml');
  });

  test('extended errors tell a block, a missing rule and a limit apart', () => {
    const code = (reason: Parameters<typeof refuse>[1]): number | undefined =>
      refuse('REFUSED', reason, null).answer.extendedError?.code;
    expect([code('deny-rule'), code('no-rule'), code('limit-requests')]).toEqual([15, 17, 18]);
  });

  test('a denial passes on what the policy suggests', () => {
    expect(planDenied({ ...DENIED, suggestion: '- allow: a.example' }).suggestion).toBe('- allow: a.example');
    expect(planDenied(DENIED).suggestion).toBeNull();
  });
});
