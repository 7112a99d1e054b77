import { describe, expect, test } from 'vitest';
import { compilePolicy } from '../../policies/compile.ts';
import { evaluate, plantedPorts } from '../../policies/evaluate.ts';
import { formatPolicy } from '../../policies/format.ts';
import { parseAuthority } from '../../policies/hostname.ts';
import { formatIssue } from '../../policies/issue.ts';
import type { CompiledPolicy } from '../../policies/model.ts';
import { phaseNames, policyOfPhase } from '../../policies/phase.ts';
import { widerThanStrict } from '../../policies/widening.ts';
import { NOW_MS } from './generators.ts';
import { DIRECTORY, inForce, issuesOf, memoryReader, policyOf } from './reader.ts';

const TEXT = `version: 1
name: app
rules:
  - allow: base.example
  - deny: bad.example
phases:
  setup:
    rules:
      - {allow: registry.example, tcp: [5000]}
      - deny: worse.example
  run:
    rules:
      - allow: [api.example, base.example]
      - deny: registry.example
  after: {}
`;
const policy = policyOf(TEXT);

function at(index: number): CompiledPolicy {
  const phase = policyOfPhase(policy, index);
  if (phase === null) throw new Error(`no phase ${index}`);
  return phase;
}

function ask(some: CompiledPolicy, host: string): string {
  const authority = parseAuthority(host, 443);
  if (!authority.ok) throw new Error(authority.reason);
  return evaluate(inForce(some), { authority: authority.value, protocol: null }, NOW_MS).reason;
}

describe('phases', () => {
  test('stand in the order of the file', () => {
    expect(phaseNames(policy)).toEqual(['setup', 'run', 'after']);
    expect(phaseNames(policyOf('version: 1\nphases: {z: {}, "2": {}, "1": {}, a: {}}\n'))).toEqual([
      'z',
      '2',
      '1',
      'a',
    ]);
  });

  test('have the rules of every phase and their own', () => {
    const hosts = ['base.example', 'bad.example', 'registry.example:5000', 'api.example', 'worse.example'];
    expect([0, 1, 2].map((index) => hosts.map((host) => ask(at(index), host)))).toEqual([
      ['allowed-by-rule', 'deny-rule', 'allowed-by-rule', 'no-rule', 'deny-rule'],
      ['allowed-by-rule', 'deny-rule', 'deny-rule', 'allowed-by-rule', 'no-rule'],
      ['allowed-by-rule', 'deny-rule', 'no-rule', 'no-rule', 'no-rule'],
    ]);
    expect(plantedPorts(inForce(at(0)))).toContain(5000);
    expect(plantedPorts(inForce(at(1)))).not.toContain(5000);
  });

  test('not chosen, are denied in whatever any phase denies, and granted nothing', () => {
    const hosts = ['base.example', 'bad.example', 'registry.example:5000', 'api.example', 'worse.example'];
    expect(hosts.map((host) => ask(policy, host))).toEqual([
      'allowed-by-rule',
      'deny-rule',
      'deny-rule',
      'no-rule',
      'deny-rule',
    ]);
  });

  test('that do not exist are none; a policy without phases is its own first', () => {
    expect([policyOfPhase(policy, 3), policyOfPhase(policy, -1), policyOfPhase(policy, 0.5)]).toEqual([
      null,
      null,
      null,
    ]);
    const plain = policyOf('version: 1\n');
    expect(phaseNames(plain)).toEqual([]);
    expect(policyOfPhase(plain, 0)).toBe(plain);
    expect(policyOfPhase(plain, 1)).toBe(null);
  });

  test('give their rules ids of their own, and their policies digests', () => {
    expect(at(1).rules.map(({ id }) => id)).toEqual([
      'app/allow:base.example',
      'app/deny:bad.example',
      'app/run/allow:api.example',
      'app/run/deny:registry.example',
    ]);
    const digests = [policy, at(0), at(1), at(2)].map(({ digest }) => digest);
    expect(new Set(digests).size).toBe(4);
    expect(at(1).phases).toBe(undefined);
  });

  test('are in the canonical text, which reads as the same policy', () => {
    const text = formatPolicy(policy);
    expect(text).toBe(
      [
        'version: 1',
        'name: "app"',
        'mode: enforce',
        'rules:',
        '  - allow: "base.example"',
        '  - deny: "bad.example"',
        'phases:',
        '  "setup":',
        '    rules:',
        '      - allow: "registry.example"',
        '        tcp: [5000]',
        '      - deny: "worse.example"',
        '  "run":',
        '    rules:',
        '      - allow: ["api.example", "base.example"]',
        '      - deny: "registry.example"',
        '  "after": {rules: []}',
        '',
      ].join('\n'),
    );
    const again = policyOf(text);
    expect(formatPolicy(again)).toBe(text);
    expect(again.digest).toBe(policy.digest);
    expect(again.phases?.map((phase) => phase.policy.digest)).toEqual([0, 1, 2].map((one) => at(one).digest));
  });

  test('hold what a policy extends in each, and stand in one file', () => {
    const files = { 'base.yaml': 'version: 1\nlimits: {connections: 5}\nrules:\n  - allow: up.example\n' };
    const extended = policyOf('version: 1\nextends: ./base.yaml\nphases: {a: {}, b: {}}\n', files);
    expect(extended.phases?.map((phase) => ask(phase.policy, 'up.example'))).toEqual([
      'allowed-by-rule',
      'allowed-by-rule',
    ]);
    expect(extended.phases?.[1]?.policy.limits.connections).toBe(5);
    const twice = issuesOf('version: 1\nextends: ./base.yaml\nphases: {a: {}}\n', {
      'base.yaml': 'version: 1\nphases: {b: {}}\n',
    });
    expect(twice.join()).toContain(
      'policy.yaml:3:10: error: the phases of this policy stand in base.yaml already',
    );
  });

  test('count their rules together', () => {
    const rules = Array.from({ length: 300 }, (_, port) => `{allow: a.example, tcp: [${port * 2 + 1}]}`);
    const text = `version: 1\nphases: {a: {rules: [${rules}]}, b: {rules: [{allow: b.example, tcp: ["10000-10400"]}]}}\n`;
    expect(issuesOf(text).join()).toContain('name 701 ports');
  });

  test('have no place in a ceiling', () => {
    const request = { kind: 'text', text: TEXT, file: 'ceiling.yaml', directory: DIRECTORY } as const;
    const compiled = compilePolicy([request], memoryReader(), { role: 'ceiling' });
    expect(compiled.ok ? [] : compiled.issues.map(formatIssue)).toEqual([
      expect.stringContaining('ceiling.yaml:7:3: error: "phases" has no place in a ceiling'),
    ]);
  });

  test('of a found policy are each held to strict', () => {
    const strict = policyOf('version: 1\nrules:\n  - allow: a.example\n');
    const found = (phases: string): CompiledPolicy => policyOf(`version: 1\nphases: ${phases}\n`);
    expect(widerThanStrict(found('{x: {rules: [allow: a.example]}}'), strict).wider).toBe(false);
    expect(
      widerThanStrict(found('{x: {rules: [allow: a.example]}, y: {rules: [allow: b.example]}}'), strict),
    ).toMatchObject({ wider: true, because: ['it allows b.example (http 80, https 443)'] });
  });
});
