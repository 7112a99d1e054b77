import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editPolicy } from '../../../policies/edit/edit.ts';
import { pasteLine } from '../../../policies/edit/rule-text.ts';
import { evaluate } from '../../../policies/evaluate.ts';
import { parseHost } from '../../../policies/hostname.ts';
import { type LearnOptions, learnRules, type Need } from '../../../policies/learn/learn.ts';
import { observing } from '../../../policies/learn/observing.ts';
import type { Protocol } from '../../../policies/model.ts';
import { readGroups } from '../../../policies/presets.ts';
import { anyPolicy, anyRequest } from '../generators.ts';
import { inForce, policyOf, readShippedData, rulesPolicy } from '../reader.ts';

const NOW = Date.parse('2026-11-21T20:15:00Z');
const EMPTY = inForce(policyOf('version: 1\n'));

function need(host: string, ...uses: readonly (readonly [Protocol, number])[]): Need {
  const parsed = parseHost(host);
  if (!parsed.ok) throw new Error(parsed.reason);
  const used = uses.length === 0 ? ([['https', 443]] as const) : uses;
  return {
    host: parsed.value,
    uses: used.map(([protocol, port]) => ({ protocol, port })),
    leadsInside: false,
  };
}

function learn(needs: readonly Need[], policy = EMPTY, options: Partial<LearnOptions> = {}) {
  const groups = readGroups(readShippedData) ?? new Map();
  return learnRules(needs, policy, { nowMs: NOW, groups, wildcards: false, ...options });
}

const linesOf = (learnt: ReturnType<typeof learn>) => learnt.rules.map(pasteLine);

describe('the rules that runs needed', () => {
  it('name exactly the ports that were used, hosts on the same ports in one rule', () => {
    const needs = [
      need('a.example'),
      need('b.example', ['http', 80], ['https', 443]),
      need('c.example'),
      need('db.example', ['tcp', 5432], ['tcp', 5433]),
      need('198.51.100.7', ['tcp', 22]),
    ];
    expect(linesOf(learn(needs))).toEqual([
      '- {allow: [a.example, c.example], https: [443]}',
      '- allow: b.example',
      '- {allow: db.example, tcp: ["5432-5433"]}',
      '- {allow: 198.51.100.7, tcp: [22]}',
    ]);
  });

  it('are those that the policy lacks', () => {
    const policy = inForce(rulesPolicy('  - allow: ["**.a.example"]\n  - {allow: b.example, tcp: [22]}\n'));
    const needs = [need('x.a.example'), need('b.example', ['tcp', 22], ['tcp', 23])];
    expect(linesOf(learn(needs, policy))).toEqual(['- {allow: b.example, tcp: [23]}']);
  });

  it('leave alone what a deny rule, an expired rule or a ceiling says, and what leads inside', () => {
    const rules =
      '  - deny: a.example\n  - deny: b.example\n    report: true\n  - {allow: c.example, until: 2026-01-01T00:00:00Z}\n';
    const ceiling = rulesPolicy('  - allow: ["*.example", "d.test"]\n');
    const inside = { ...need('d.test'), leadsInside: true };
    const needs = [need('a.example'), need('b.example'), need('c.example'), need('x.test'), inside];
    const learnt = learn(needs, inForce(rulesPolicy(rules), ceiling));
    expect(learnt.rules).toEqual([]);
    expect(learnt.refused.map(({ reason }) => reason)).toEqual([
      'deny-rule',
      'would-be-denied',
      'rule-expired',
      'ceiling',
      'address-guarded',
    ]);
  });

  it('propose groups that hold several hosts, with what they would open besides, and write none', () => {
    const learnt = learn([need('pypi.org'), need('files.pythonhosted.org'), need('a.example')]);
    expect(learnt.groups[0]).toMatchObject({
      name: 'group:pypi',
      covers: ['pypi.org', 'files.pythonhosted.org'],
    });
    expect(linesOf(learnt)).toEqual([
      '- {allow: [pypi.org, files.pythonhosted.org, a.example], https: [443]}',
    ]);
    expect(
      learn([need('pypi.org', ['tcp', 22]), need('files.pythonhosted.org', ['tcp', 22])]).groups,
    ).toEqual([]);
  });

  it('join names in a wildcard on request only, and never below a public suffix', () => {
    const names = ['a', 'b', 'c'].flatMap((label) => [
      need(`${label}.cdn.example.com`),
      need(`${label}x.com`),
      need(`${label}x.github.io`),
    ]);
    const learnt = learn(names, EMPTY, { wildcards: true });
    expect(learnt.wildcards).toEqual([
      {
        pattern: '*.cdn.example.com',
        replaces: ['a.cdn.example.com', 'b.cdn.example.com', 'c.cdn.example.com'],
      },
    ]);
    expect(linesOf(learnt)[0]).toContain('"*.cdn.example.com", ax.com, ax.github.io');
    expect(linesOf(learn(names))[0]).not.toContain('*');
  });

  it('admit everything that they were learnt from, and no more than that', () => {
    fc.assert(
      fc.property(anyPolicy, fc.array(anyRequest, { maxLength: 6 }), anyRequest, (plain, asked, other) => {
        const text = JSON.stringify(plain);
        const held = inForce({ ...policyOf(text), mode: 'enforce' });
        const ask = ({ host, port, protocol }: typeof other): Need[] => {
          const parsed = parseHost(host.includes(':') ? `[${host}]` : host);
          if (!parsed.ok || host.endsWith('sand') || host.includes('169.254')) return [];
          const uses = [{ protocol: protocol ?? 'tcp', port }];
          return [{ host: parsed.value, uses, leadsInside: false }];
        };
        const needs = asked.flatMap(ask);
        const learnt = learn(needs, held);
        const edited = editPolicy(text, 'policy.yaml', { kind: 'add', rules: learnt.rules });
        if (!edited.ok) throw new Error(JSON.stringify(edited));
        const after = inForce({ ...policyOf(edited.text), mode: 'enforce' });
        const says = (policy: typeof held, { host, uses: [use] }: Need) =>
          evaluate(
            policy,
            { authority: { host, port: use?.port ?? 0 }, protocol: use?.protocol ?? null },
            NOW,
          );
        const refused = new Set(learnt.refused.map(({ host, port }) => JSON.stringify([host, port])));
        for (const one of needs) {
          if (refused.has(JSON.stringify([one.host, one.uses[0]?.port]))) continue;
          expect(says(after, one).decision).toBe('allow');
        }
        const wanted = needs.map((one) => JSON.stringify([one.host, one.uses[0]?.port]));
        for (const one of ask(other)) {
          if (wanted.includes(JSON.stringify([one.host, one.uses[0]?.port]))) continue;
          expect(says(after, one).decision).toBe(says(held, one).decision);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('a policy under observation', () => {
  it('reports what no rule allows, refuses what a deny rule covers, and is another policy by its digest', () => {
    const text =
      'version: 1\nrules:\n  - deny: d.example\nphases:\n  setup: {rules: [{allow: a.example}]}\n  run: {rules: []}\n';
    const policy = policyOf(text);
    const watched = observing(inForce(policy)).policy;
    expect(watched.digest).not.toBe(policy.digest);
    const phases = watched.phases ?? [];
    expect(phases.map((phase) => phase.policy.mode)).toEqual(['report', 'report']);
    for (const { policy: phase } of phases) {
      const asked = (host: string) => {
        const parsed = parseHost(host);
        if (!parsed.ok) throw new Error(host);
        return evaluate(
          inForce(phase),
          { authority: { host: parsed.value, port: 443 }, protocol: null },
          NOW,
        );
      };
      expect(asked('x.example')).toMatchObject({ decision: 'allow', reason: 'would-be-denied' });
      expect(asked('d.example')).toMatchObject({ decision: 'deny', reason: 'deny-rule' });
    }
  });
});
