import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { testPolicies } from '../../../../controller/cli/policy/test.ts';
import { createProject, expectGolden, type Project } from './project.ts';

const POLICY = `version: 1
name: web
rules:
  - allow: api.example.com
  - allow: "*.cdn.example.com"
  - {allow: db.example.com, tcp: [5432], addresses: [10.20.0.0/16]}
  - {allow: mirror.example.com, http: 80, methods: [GET], paths: [/pool/**]}
  - {allow: release.example.com, until: 2027-01-31T18:00:00Z}
  - {deny: gist.cdn.example.com, because: user content}
  - allow: 198.51.100.0/24
phases:
  setup: {rules: [{allow: registry.example.com}]}
  run: {rules: []}
`;
const RIGHT = `version: 1
policy: ./web.yaml
at: 2026-12-01T00:00:00Z
cases:
  - allow: [api.example.com, api.example.com:80, img.cdn.example.com]
    reason: allowed-by-rule
  - deny: api.example.com:8443
    reason: port-not-allowed
  - allow: db.example.com:5432
    rule: web/allow:db.example.com
    resolves-to: [10.20.4.7, 192.0.2.1]
  - deny: db.example.com:5432
    resolves-to: 10.30.0.1
    reason: address-not-listed
  - deny: api.example.com
    resolves-to: 169.254.169.254
    reason: metadata-address
  - allow: mirror.example.com GET /pool/a.tar.gz
  - deny: [mirror.example.com POST /pool/a, mirror.example.com GET /x]
  - allow: release.example.com
  - deny: release.example.com
    at: 2027-02-01T00:00:00Z
    reason: rule-expired
  - {deny: api.example.com:80, as: tcp}
  - {allow: registry.example.com, phase: setup}
  - {deny: registry.example.com, phase: run}
  - deny: gist.cdn.example.com
    rule: web/deny:gist.cdn.example.com
  - allow: 198.51.100.7
  - deny: ["[2001:db8::1]:443", 203.0.113.1]
    reason: raw-address
`;
const FAILING = `version: 1
policy: ./web.yaml
cases:
  - allow: api.example.com:8443
  - allow: a.b.cdn.example.com
  - allow: gist.cdn.example.com
  - deny: img.cdn.example.com
  - deny: api.example.com:8443
    reason: no-rule
  - allow: api.example.com
    rule: web/allow:*.example.com
  - allow: docs.example.com
  - allow: elsewhere.test
  - {allow: api.example.com, phase: later}
`;

let project: Project;
afterEach(() => project.remove());

function run(files: readonly string[], format = 'text') {
  const code = testPolicies({ files, format }, project.surroundings);
  return { code, text: project.output() };
}

describe('sand policy test', () => {
  it('is content where every verdict comes as expected', () => {
    project = createProject({ 'web.yaml': POLICY, 'web.policy-test.yaml': RIGHT });
    expect(run(['web.policy-test.yaml'])).toEqual({
      code: 0,
      text: 'web.policy-test.yaml: 19 of 19 as expected\n',
    });
  });

  it('holds the policy that the document of the tart backend shows to the table beside it', () => {
    const text = readFileSync(new URL('../../../../docs/tart.md', import.meta.url), 'utf8');
    const blocks = [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '');
    const policy = blocks.find((block) => block.includes('group:macos-guest/quiet')) ?? '';
    const table = blocks.find((block) => block.includes('cases:')) ?? '';
    project = createProject({ 'sand.policy.yaml': policy, 'sand.policy-test.yaml': table });
    expect(run(['sand.policy-test.yaml'])).toEqual({
      code: 0,
      text: 'sand.policy-test.yaml: 7 of 7 as expected\n',
    });
  });

  it('says what came, by which rule, and what would turn it', () => {
    project = createProject({ 'web.yaml': POLICY, 'fails.yaml': FAILING });
    const { code, text } = run(['fails.yaml']);
    expect(code).toBe(1);
    expectGolden('test.txt', text);
    expectGolden(
      'test.golden.json',
      `${JSON.stringify(JSON.parse(run(['fails.yaml'], 'json').text), null, 2)}\n`,
    );
  });

  it('tells it to CI as XML', () => {
    const odd = 'version: 1\npolicy: web.yaml\ncases:\n  - allow: "a<b>.example.com"\n';
    project = createProject({ 'web.yaml': POLICY, 'fails.yaml': FAILING, 'odd.yaml': odd, 'ok.yaml': RIGHT });
    const { code, text } = run(['fails.yaml', 'odd.yaml', 'ok.yaml'], 'junit');
    expect(code).toBe(2);
    expectGolden('test.xml', text);
  });

  it('reads its own file strictly', () => {
    const table = `version: 2
polcy: web.yaml
cases:
  - allow: api.example.com
    deny: api.example.com
  - reason: no-rule
  - allow: https://api.example.com
  - allow: api.example.com GET
  - {allow: api.example.com GET /, as: https}
  - {deny: a.example.com, reason: no-rul}
  - {deny: a.example.com, resolves-to: a.example.com}
  - {deny: a.example.com, at: tomorrow}
  - deny: 80
`;
    project = createProject({
      'wrong.yaml': table,
      'empty.yaml': '',
      'none.yaml': 'version: 1\ncases: []\n',
    });
    const { code, text } = run(['wrong.yaml', 'empty.yaml', 'none.yaml', 'missing.yaml']);
    expect(code).toBe(2);
    expectGolden('test-wrong.txt', text);
  });

  it('finds the policy beside a table by its name, and tells of a wrong one', () => {
    const cases = 'version: 1\ncases:\n  - deny: a.example.com\n';
    project = createProject({
      'sub/a.policy-test.yaml': cases,
      'sub/a.policy.yaml': 'version: 1\n',
      'sub/b.policy-test.yaml': cases,
      'sub/b.yaml': 'version: 1\nrules: 1\n',
      'sub/c.policy-test.yaml': cases,
      'd.yaml': cases,
    });
    expect(run(['sub/a.policy-test.yaml']).code).toBe(0);
    const { code, text } = run(['sub/b.policy-test.yaml', 'sub/c.policy-test.yaml', 'd.yaml']);
    expect(code).toBe(2);
    expectGolden('test-no-policy.txt', text);
  });

  it('takes presets and groups for a policy, several as a union', () => {
    const table = 'version: 1\npolicy: [offline, group:github-core]\ncases:\n  - allow: github.com\n';
    project = createProject({ 't.yaml': table });
    expect(run(['t.yaml']).code).toBe(0);
  });

  it('asks no ceiling, which is the machine\u2019s', () => {
    project = createProject({
      'web.yaml': POLICY,
      't.yaml': 'version: 1\npolicy: web.yaml\ncases:\n  - allow: api.example.com\n',
    });
    const path = project.write('ceiling.yaml', 'version: 1\n');
    const surroundings = { ...project.surroundings, environ: { SAND_CEILING: path } };
    expect(testPolicies({ files: ['t.yaml'], format: 'text' }, surroundings)).toBe(0);
  });

  it('wants a table, and a format that it has', () => {
    project = createProject();
    expect(() => run([])).toThrow('no table');
    expect(() => run(['a.yaml'], 'tap')).toThrow('--format tap');
  });
});
