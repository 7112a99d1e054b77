import { describe, expect, it } from 'vitest';
import { ceilingCuts, ceilingNotices, describeCut } from '../../../controller/run/ceiling-cuts.ts';
import { compileOrRefuse } from '../../../controller/run/policy-choice.ts';
import { createPolicyReader } from '../../../controller/run/policy-reader.ts';

const FILE = '/etc/sand/ceiling.yaml';
const compile = (text: string, file: string, role: 'policy' | 'ceiling' = 'policy') =>
  compileOrRefuse(
    [{ kind: 'text', text: `version: 1\n${text}`, file, directory: '/' }],
    createPolicyReader('/'),
    role,
  );
const ceiling = compile(
  'extends: [strict]\nrules:\n  - allow: "**.corp.example"\n  - deny: secret.corp.example\n',
  FILE,
  'ceiling',
);

function cutsOf(text: string): readonly string[] {
  return ceilingCuts({ policy: compile(text, 'p.yaml'), ceilings: [ceiling] }, [FILE], 0).map(describeCut);
}

describe('what a ceiling cuts', () => {
  it('is nothing of a policy that it allows, whatever limits that has', () => {
    expect(cutsOf('extends: [strict]\nlimits: {connections: 5}\n')).toEqual([]);
    expect(cutsOf('rules:\n  - allow: a.corp.example\n')).toEqual([]);
    expect(ceilingNotices([])).toEqual([]);
  });

  it('is each rule that it does not allow, with a request as its witness', () => {
    const cuts = cutsOf(`rules:
  - allow: a.corp.example
  - allow: evil.example
  - allow: secret.corp.example
  - allow: 198.51.100.0/24
    tcp: [22]
`);
    expect(cuts.toSorted()).toEqual([
      `p.yaml:4 asks for https to evil.example:443 at 192.0.2.1, which ${FILE} does not allow`,
      `p.yaml:5 asks for https to secret.corp.example:443 at 192.0.2.1, which ${FILE} does not allow`,
      `p.yaml:6 asks for tcp to 198.51.100.1:22, which ${FILE} does not allow`,
    ]);
  });

  it('is the mode, where that lets all pass', () => {
    expect(cutsOf('mode: report\nrules: []\n')[0]).toMatch(/^the mode of the policy asks for https to /);
  });

  it('is told of a phase', () => {
    const text = 'phases:\n  setup: {rules: [{allow: evil.example}]}\n  run: {rules: []}\n';
    expect(cutsOf(text)).toEqual([
      `p.yaml:3 in the phase setup asks for https to evil.example:443 at 192.0.2.1, which ${FILE} does not allow`,
    ]);
  });

  it('is one notice of a run', () => {
    const cuts = ceilingCuts(
      {
        policy: compile('rules:\n  - allow: [evil.example]\n  - allow: worse.example\n', 'p.yaml'),
        ceilings: [ceiling],
      },
      [FILE],
      0,
    );
    expect(ceilingNotices(cuts)).toEqual([
      {
        code: 'ceiling-cuts',
        detail: `the policy asks in 2 rules for more than the ceiling ${FILE} allows, which cuts for example https to evil.example:443 at 192.0.2.1 (p.yaml:3)`,
      },
    ]);
  });

  it('is told for each ceiling by itself', () => {
    const second = compile('rules: []\n', 'second.yaml', 'ceiling');
    const policy = compile('rules:\n  - allow: a.corp.example\n', 'p.yaml');
    const cuts = ceilingCuts({ policy, ceilings: [ceiling, second] }, [FILE, '/second.yaml'], 0);
    expect(cuts.map((cut) => cut.ceiling)).toEqual(['/second.yaml']);
  });
});
