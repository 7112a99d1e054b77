/** Outcomes of `sand ci` for the tests of its reports: one of everything, one of nothing, one that a guest has spoiled. */

import type { Row } from '../../../../audit/summary.ts';
import { baselineOf, usageOfRun } from '../../../../controller/ci/baseline.ts';
import { describeDenials } from '../../../../controller/ci/denials.ts';
import { findDrift } from '../../../../controller/ci/drift.ts';
import { type CiOutcome, totalsOf } from '../../../../controller/ci/outcome.ts';
import { ceilingCuts } from '../../../../controller/run/ceiling-cuts.ts';
import { compileOrRefuse } from '../../../../controller/run/policy-choice.ts';
import { createPolicyReader } from '../../../../controller/run/policy-reader.ts';
import { denied, row } from '../../ci/samples.ts';

const POLICY = `version: 1
rules:
  - allow: api.example.com
  - allow: cdn.example.com
  - deny: gist.example.com
    because: user content
`;
const compile = (text: string, file: string, role: 'policy' | 'ceiling' = 'policy') =>
  compileOrRefuse([{ kind: 'text', text, file, directory: '/' }], createPolicyReader('/'), role);

const CEILING = '/etc/sand/ceiling.yaml';

export function outcomeOf(
  rows: readonly Row[],
  before: readonly Row[] | null = null,
  more: Partial<CiOutcome> = {},
): CiOutcome {
  const policy = compile(POLICY, 'sand.policy.yaml');
  const ceilings =
    before === null ? [] : [compile('version: 1\nrules: [{allow: api.example.com}]\n', CEILING, 'ceiling')];
  const used = usageOfRun(rows);
  const refused = rows.filter(({ verdict }) => verdict === 'denied');
  const processes = new Map([
    ['evil.example.com\n443\nhttps\nno-rule', { pid: 7, command: 'curl https://evil.example.com' }],
  ]);
  return {
    run: '20261121-201500-k3f9',
    command: ['npm', 'test'],
    exitCode: 0,
    ended: { exitCode: 0, cause: 'exit', durationMs: 3_210 },
    totals: totalsOf(rows),
    denied: describeDenials(refused, {
      inForce: { policy, ceilings: [] },
      place: { file: 'sand.policy.yaml', line: 2 },
      processes,
      nowMs: 0,
    }),
    drift: before === null ? [] : findDrift(baselineOf(usageOfRun(before)), used, true),
    used: used.used,
    failOn: ['drift'],
    baseline:
      before === null ? { file: null, state: 'none' } : { file: 'sand.baseline.json', state: 'compared' },
    policy: {
      ...{ name: 'sand.policy', digest: `sha256:${'0'.repeat(64)}`, mode: 'enforce' },
      ...{ layers: ['sand.policy.yaml'], file: 'sand.policy.yaml' },
    },
    ceiling: {
      files: ceilings.length === 0 ? [] : [CEILING],
      cuts: ceilingCuts({ policy, ceilings }, [CEILING], 0),
    },
    notices: [],
    errors: [],
    auditLog: '/home/me/.local/state/sand/runs/20261121-201500-k3f9/audit.jsonl',
    ...more,
  };
}

const GIST = {
  id: 'sand.policy/deny:gist.example.com',
  file: 'sand.policy.yaml',
  line: 5,
  because: 'user content',
};

export const EVERYTHING = outcomeOf(
  [
    denied('evil.example.com', { how: ['dns', 'https'], count: 3 }),
    denied('gist.example.com', { reason: 'deny-rule', rule: GIST, suggestion: null }),
    denied('a.b.example.org', { port: null, how: ['dns'], suggestion: 'did you mean "**.example.org"?' }),
    row({ bytesOut: 900_000 }),
    row({
      host: 'new.example.com',
      rule: { id: 'sand.policy/allow:*.example.com', file: 'sand.policy.yaml', line: 4 },
    }),
  ],
  [
    row(),
    row({
      host: 'cdn.example.com',
      rule: { id: 'sand.policy/allow:cdn.example.com', file: 'sand.policy.yaml', line: 4 },
    }),
  ],
  { exitCode: 121 },
);

export const NOTHING = outcomeOf([]);

export const HOSTILE = [
  '`x` | y',
  '</details><img src=x>',
  '@everyone [a](b)',
  '::error::x',
  '##[error]x',
  ']]>&amp;"',
  '\u202e\n\u0000',
];
export const SPOILED = outcomeOf(
  HOSTILE.flatMap((text, at) => [
    denied(text, { detail: text, suggestion: at % 2 === 0 ? text : `- ${text}` }),
    row({ host: text, rule: { id: text, file: text, line: 1 } }),
  ]),
  [],
  {
    command: HOSTILE,
    failOn: ['denied', 'drift', 'ceiling'],
    errors: [{ code: 'internal', message: HOSTILE.join(), hint: '' }],
  },
);
