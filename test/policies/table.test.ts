import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseTable } from '../../policies/table/document.ts';
import { judgeCase } from '../../policies/table/judge.ts';
import { policyOf } from './reader.ts';

const POLICY = policyOf(`version: 1
name: web
rules:
  - allow: [api.example.com, fonts.example.com]
  - {allow: db.example.com, tcp: [5432], addresses: [10.20.0.0/16]}
  - {allow: mirror.example.com, http: 80, methods: [GET], paths: [/pool/**]}
  - {allow: release.example.com, until: 2027-01-31T18:00:00Z}
  - deny: gist.github.com
phases:
  setup: {rules: [{allow: registry.example.com}]}
  run: {rules: []}
`);

describe('docs/policy-test.md', () => {
  const text = readFileSync(new URL('../../docs/policy-test.md', import.meta.url), 'utf8');
  const blocks = [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '');

  test.each(blocks)('shows a table that holds: %#', (block) => {
    const table = parseTable(block, 'docs');
    if (!table.ok) throw new Error(JSON.stringify(table.issues));
    const wrong = table.value.cases
      .map((one) => judgeCase(POLICY, one, 0))
      .flatMap((outcome) => (outcome.passed ? [] : [[outcome.case.asked, outcome.differences]]));
    expect(wrong).toEqual([]);
  });

  test('names every key', () => {
    const keys = [
      'version',
      'policy',
      'at',
      'cases',
      'allow',
      'deny',
      'reason',
      'rule',
      'as',
      'resolves-to',
      'phase',
    ];
    for (const key of keys) expect([key, text.includes(`\`${key}\``)]).toEqual([key, true]);
    const wrong = parseTable('version: 1\nx: 1\ncases: [{x: 1}]\n', 'x');
    const hints = wrong.ok ? [] : wrong.issues.map(({ hint }) => hint);
    const known = hints.join(' ').match(/[a-z-]+(?=[,.])/g) ?? [];
    expect([...new Set(known)].sort()).toEqual(keys.toSorted());
  });
});
