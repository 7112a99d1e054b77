import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../policies/evaluate.ts';
import { formatPolicy } from '../../policies/format.ts';
import { anyPolicy, anyRequest, NOW_MS } from './generators.ts';
import { egressOf, inForce, policyOf } from './reader.ts';

describe('the canonical text of a policy', () => {
  test('is one file that names everything', () => {
    const policy = policyOf(
      'version: 1\nname: web\nextends: ./base.yaml\nlimits: {bytesOut: 1MiB, idle: 2m}\nrules:\n  - {allow: "*.Example.com", https: ["8443", 443], because: "größer \\u200b"}\n',
      {
        'base.yaml':
          'version: 1\nrequires: {isolation: vm, confinement: enforced}\nrules:\n  - allow: [b.example, a.example]\n',
      },
    );
    expect(formatPolicy(policy)).toBe(
      [
        'version: 1',
        'name: "web"',
        'mode: enforce',
        'requires: {confinement: enforced, isolation: vm}',
        'limits: {bytesOut: 1048576, idle: 120s}',
        'rules:',
        '  - allow: "*.example.com"',
        '    https: [443, 8443]',
        '    because: "größer \\u200b"',
        '  - allow: ["a.example", "b.example"]',
        '',
      ].join('\n'),
    );
  });

  test('reads as a policy with the same text, digest and verdicts', () => {
    const because = fc.option(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 }), {
      nil: undefined,
    });
    fc.assert(
      fc.property(anyPolicy, because, anyRequest, (plain, reason, request) => {
        const rules = plain.rules.map((rule) =>
          reason === undefined || /[\p{C}\p{Z}]/u.test(reason) ? rule : { ...rule, because: reason },
        );
        const policy = policyOf(JSON.stringify({ ...plain, rules }));
        const again = policyOf(formatPolicy(policy));
        expect(formatPolicy(again)).toBe(formatPolicy(policy));
        expect(again.digest).toBe(policy.digest);
        const [one, two] = [policy, again].map((some) => {
          const verdict = evaluate(inForce(some), egressOf(request), NOW_MS);
          return [verdict.decision, verdict.reason, verdict.protocols, verdict.muted];
        });
        expect(one).toEqual(two);
      }),
      { numRuns: 80 },
    );
  });
});
