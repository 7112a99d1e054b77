import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../policies/evaluate.ts';
import type { CompiledPolicy } from '../../policies/model.ts';
import { widerThanStrict } from '../../policies/widening.ts';
import { anyPolicy, anyRequest, NOW_MS } from './generators.ts';
import { egressOf, inForce, policyOf } from './reader.ts';

const HEAD = 'version: 1\nrequires: {confinement: enforced}\n';
const strict = policyOf(
  `${HEAD}limits: {bytesOut: 1GiB}\nrules:\n  - allow: ["**.a.example", b.example]\n  - deny: bad.a.example\n`,
);

function because(text: string): string {
  const widening = widerThanStrict(policyOf(text), strict);
  return widening.wider ? widening.because.join('; ') : 'no wider';
}

const kept = `${HEAD}limits: {bytesOut: 1MiB}\nrules:\n  - deny: "*.a.example"\n`;

describe('a found policy', () => {
  test('within strict is no wider', () => {
    expect(
      because(`${kept}  - allow: ["*.a.example", x.y.a.example]\n    https: [443]\n  - mute: x.example\n`),
    ).toBe('no wider');
    expect(because(`${kept}  - allow: b.example\n    until: 2027-01-01T00:00:00Z\n`)).toBe('no wider');
  });

  test.each([
    [`${kept}  - allow: c.example\n`, 'it allows c.example (http 80, https 443)'],
    [`${kept}  - allow: "*.b.example"\n`, '*.b.example'],
    [`${kept}  - allow: b.example\n    https: [8443]\n`, 'https 8443'],
    [`${kept}  - allow: b.example\n    tcp: [443]\n`, 'tcp 443'],
    [`${kept}  - allow: b.example\n    addresses: [10.0.0.0/8]\n`, 'addresses 10.0.0.0/8'],
    [`${kept}  - allow: 198.51.100.0/24\n`, 'addresses 198.51.100.0/24'],
    [`${kept}  - allow: host.sand\n    tcp: [5432]\n`, 'host.sand'],
    [`${kept.replace(HEAD, `${HEAD}mode: report\n`)}`, 'only reports'],
    [kept.replace('requires: {confinement: enforced}\n', ''), 'confinement'],
    [kept.replace('limits: {bytesOut: 1MiB}\n', ''), 'bytesOut'],
    [kept.replace('1MiB', '2GiB'), 'bytesOut'],
    [kept.replace('1MiB', '1MiB, connections: 4000'), 'connections'],
    [kept.replace('1MiB', '1MiB, idle: 2h'), 'idle'],
    [`${kept}  - {deny: x.example, report: true}\n`, 'it only reports what it denies of x.example'],
    [
      kept
        .replace('"*.a.example"', '"*.a.example", report: true')
        .replace('deny: "*', '{deny: "*')
        .replace('true', 'true}'),
      'it does not deny bad.a.example',
    ],
    [kept.replace('"*.a.example"', 'other.a.example'), 'it does not deny bad.a.example'],
  ])('that asks for more is wider, and says in what', (text, said) => {
    expect(because(text)).toContain(said);
  });

  test('is no wider for requiring a stronger isolation, and wider for requiring a weaker one', () => {
    const requiring = (isolation: string) => HEAD.replace('enforced}', `enforced, isolation: ${isolation}}`);
    expect(because(kept.replace(HEAD, requiring('vm')))).toBe('no wider');
    expect(because(kept.replace(HEAD, requiring('namespaces')))).toBe('no wider');
    const guarded = policyOf(`${requiring('vm')}rules: []\n`);
    expect(widerThanStrict(policyOf(`${requiring('gvisor')}rules: []\n`), guarded)).toEqual({
      wider: true,
      because: ['it lowers the isolation that it requires from vm to gvisor'],
    });
  });

  test('is wider than what strict allows within limits of the rule', () => {
    const narrow = policyOf(`${HEAD}rules:\n  - {allow: a.example, limits: {bytesOut: 1KiB}}\n`);
    expect(widerThanStrict(policyOf(`${HEAD}rules:\n  - allow: a.example\n`), narrow).wider).toBe(true);
  });

  test('is wider than what strict allows for certain requests only', () => {
    const found = policyOf(`${HEAD}rules:\n  - {allow: a.example, http: [80]}\n`);
    for (const key of ['methods: [GET]', 'paths: [/x]']) {
      const narrow = policyOf(`${HEAD}rules:\n  - {allow: a.example, http: [80], ${key}}\n`);
      expect(widerThanStrict(found, narrow).wider).toBe(true);
    }
  });

  test('is wider than what strict allows for a while only', () => {
    const brief = policyOf(`${HEAD}rules:\n  - allow: a.example\n    until: 2027-01-01T00:00:00Z\n`);
    const found = policyOf(`${HEAD}rules:\n  - allow: a.example\n`);
    expect(widerThanStrict(found, brief).wider).toBe(true);
  });

  test('that is reported as no wider allows no request that strict does not', () => {
    fc.assert(
      fc.property(anyPolicy, anyPolicy, fc.array(anyRequest, { minLength: 10 }), (one, two, requests) => {
        const [found, base]: CompiledPolicy[] = [one, two].map((plain) =>
          policyOf(JSON.stringify({ ...plain, mode: 'enforce' })),
        );
        if (found === undefined || base === undefined || widerThanStrict(found, base, NOW_MS).wider) return;
        for (const plain of requests) {
          const request = egressOf(plain);
          const newly =
            evaluate(inForce(found), request, NOW_MS).decision === 'allow' &&
            evaluate(inForce(base), request, NOW_MS).decision === 'deny';
          expect([plain, newly]).toEqual([plain, false]);
        }
      }),
      { numRuns: 150 },
    );
  });
});
