import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkPolicies } from '../../../../controller/cli/policy/check.ts';
import { WARNINGS } from '../../../../policies/warnings.ts';
import { createProject, expectGolden, type Project } from './project.ts';

const UNWISE = `version: 1
name: unwise
extends: [./team.yaml, group:github-core]
rules:
  - allow: "**.example.com"
  - allow: api.example.com
  - allow: [gist.github.com, jsr.io]
  - deny: gist.github.com
  - deny: "*.archive.example.org"
    report: true
  - {allow: sentry.io, because: crash reports of the nightly build}
  - {allow: "*.db.example.org", tcp: [5432]}
  - allow: "*.github.io"
  - {allow: old.example.org, until: 2026-01-01T00:00:00Z}
  - {allow: soon.example.org, until: 2026-11-25T00:00:00Z}
  - {allow: later.example.org, until: 2027-11-25T00:00:00Z}
  - {allow: 169.254.169.254, metadata: true, http: 80}
  - {allow: 127.0.0.1, tcp: 5432}
  - allow: 10.0.0.0/8
  - {allow: wiki.example.net, addresses: [10.9.0.0/16]}
  - deny: 10.8.0.0/13
  - allow: twice.example.net
  - allow: twice.example.net
  - mute: "**.telemetry.example"
  - mute: a.telemetry.example
`;
const TEAM = 'version: 1\nmode: report\nrules:\n  - allow: "*.npmjs.org"\n  - allow: "*.team.example"\n';
const WRONG = 'version: 1\nrules:\n  - alow: a.example.com\n  - allow: b.example.com\n    https: 99999\n';
const RIGHT = 'version: 1\nextends: strict\nrules:\n  - allow: api.example.com\n';

let project: Project;
afterEach(() => project.remove());

function check(files: readonly string[], flags: { strict?: boolean; format?: string } = {}) {
  const code = checkPolicies({ files, strict: false, format: 'text', ...flags }, project.surroundings);
  return { code, text: project.output() };
}

describe('sand policy check', () => {
  it('tells everything that is wrong or unwise with its place', () => {
    project = createProject({ 'unwise.yaml': UNWISE, 'team.yaml': TEAM, 'wrong.yaml': WRONG });
    const { code, text } = check(['unwise.yaml', 'wrong.yaml']);
    expect(code).toBe(1);
    expectGolden('check.txt', text);
  });

  it('tells it as JSON and as SARIF', () => {
    project = createProject({ 'unwise.yaml': UNWISE, 'team.yaml': TEAM, 'wrong.yaml': WRONG });
    const json: unknown = JSON.parse(check(['unwise.yaml', 'wrong.yaml'], { format: 'json' }).text);
    expectGolden('check.golden.json', `${JSON.stringify(json, null, 2)}\n`);
    const sarif = JSON.parse(check(['unwise.yaml', 'wrong.yaml'], { format: 'sarif' }).text);
    expectGolden('check.sarif', `${JSON.stringify(sarif.runs[0].results, null, 2)}\n`);
    expect(sarif).toMatchObject({
      $schema: expect.stringContaining('sarif-2.1.0'),
      version: '2.1.0',
      runs: [{ tool: { driver: { name: 'sand policy check', rules: expect.any(Array) } } }],
    });
    const { driver } = sarif.runs[0].tool;
    for (const { ruleId, ruleIndex, locations } of sarif.runs[0].results) {
      expect(driver.rules[ruleIndex].id).toBe(ruleId);
      const [{ physicalLocation }] = locations;
      expect(physicalLocation.artifactLocation.uri).toMatch(/^[^/:]+$/);
      expect(physicalLocation.region.startLine).toBeGreaterThan(0);
      expect(physicalLocation.region.startColumn).toBeGreaterThan(0);
    }
  });

  it('ends with 0 where there are warnings, and with 1 where they count', () => {
    project = createProject({ 'a.yaml': 'version: 1\nrules:\n  - allow: gitlab.com\n' });
    expect(check(['a.yaml']).code).toBe(0);
    expect(check(['a.yaml'], { strict: true }).code).toBe(1);
  });

  it('takes a because for a reason, and still tells', () => {
    project = createProject({ 'a.yaml': 'version: 1\nrules:\n  - {allow: gitlab.com, because: our own}\n' });
    const { code, text } = check(['a.yaml'], { strict: true });
    expect(code).toBe(0);
    expect(text).toContain('a.yaml:3:5: note: gitlab.com: high');
  });

  it('finds the policy where none is named', () => {
    project = createProject({ 'sand.policy.yaml': RIGHT });
    mkdirSync(join(project.folder, 'deep'));
    expect(check([])).toEqual({ code: 0, text: './sand.policy.yaml: nothing to tell\n' });
    const below = { ...project.surroundings, cwd: join(project.folder, 'deep') };
    expect(checkPolicies({ files: [], strict: true, format: 'text' }, below)).toBe(0);
  });

  it('says so where there is none', () => {
    project = createProject();
    expect(() => check([])).toThrow('there is no sand.policy.yaml here');
  });

  it('ends with 2 for what cannot be read, after the others', () => {
    project = createProject({ 'right.yaml': RIGHT });
    symlinkSync('loop.yaml', join(project.folder, 'loop.yaml'));
    const { code, text } = check(['right.yaml', 'none.yaml', 'loop.yaml', './']);
    expect(code).toBe(2);
    expectGolden('check-unreadable.txt', text);
  });

  it('refuses a format that it has not', () => {
    project = createProject({ 'right.yaml': RIGHT });
    expect(() => check(['right.yaml'], { format: 'xml' })).toThrow('--format xml');
  });

  it('says which rules no ceiling of this machine lets through', () => {
    project = createProject({
      'a.yaml':
        'version: 1\nrules:\n  - allow: a.example.com\n  - allow: "*.b.example"\n  - allow: c.example\n',
      'ceiling.yaml': 'version: 1\nrules:\n  - allow: "*.example.com"\n  - allow: "**.b.example"\n',
    });
    const environ = { SAND_CEILING: join(project.folder, 'ceiling.yaml') };
    const surroundings = { ...project.surroundings, environ };
    checkPolicies({ files: ['a.yaml'], strict: false, format: 'text' }, surroundings);
    expect(project.output()).toMatch(
      /^a\.yaml:5:5: warning: c\.example is never allowed.*\[outside-ceiling\]\n/,
    );
  });

  it('does not call a rule idle that another phase needs', () => {
    const phases = 'phases:\n  one: {rules: [{allow: "*.example.com"}]}\n  two: {rules: []}\n';
    project = createProject({ 'a.yaml': `version: 1\nrules:\n  - allow: a.example.com\n${phases}` });
    expect(check(['a.yaml']).text).toBe('a.yaml: nothing to tell\n');
  });

  it('takes a deny rule that only reports for no denial', () => {
    const rules = '  - allow: gitlab.com\n  - {deny: gitlab.com, report: true}\n';
    project = createProject({ 'a.yaml': `version: 1\nrules:\n${rules}` });
    const { text } = check(['a.yaml']);
    expect(text).not.toContain('[shadowed-rule]');
    expect(text).toContain('[risky-host]');
  });

  it('says of each rule of a large policy whether it is idle', () => {
    const rules = Array.from({ length: 5000 }, (_, at) => `  - allow: h${at}.example.com\n`).join('');
    project = createProject({ 'a.yaml': `version: 1\nrules:\n${rules}  - allow: "*.example.com"\n` });
    expect(check(['a.yaml']).text).toMatch(/\na\.yaml: 5000 warnings\n$/);
  });

  it('has an example here of every warning but those of a lock and of size', () => {
    project = createProject({ 'unwise.yaml': UNWISE, 'team.yaml': TEAM, 'wrong.yaml': WRONG });
    const { text } = check(['unwise.yaml', 'wrong.yaml']);
    const elsewhere = ['mode-ignored', 'outside-ceiling', 'stale-lock', 'check-bounded'];
    const shown = Object.keys(WARNINGS).filter((code) => text.includes(`[${code}]`));
    expect([...shown, ...elsewhere].sort()).toEqual(Object.keys(WARNINGS).sort());
  });
});
