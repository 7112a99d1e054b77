import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type ShowFlags, showPolicy } from '../../../../controller/cli/policy/show.ts';
import { rememberApproval } from '../../../../controller/run/approval.ts';
import { compileOrRefuse } from '../../../../controller/run/policy-choice.ts';
import { createPolicyReader } from '../../../../controller/run/policy-reader.ts';
import type { PolicyRequest } from '../../../../policies/compile.ts';
import type { CompiledPolicy } from '../../../../policies/model.ts';
import { createProject, expectGolden, type Project } from './project.ts';

const POLICY = `version: 1
name: web
extends: [strict, group:conda, ./team.yaml]
limits: {connections: 64, idle: 10m}
rules:
  - allow: [api.example.com, "*.cdn.example.com"]
  - {allow: db.example.com, tcp: [5432, "6000-6010"], addresses: [10.20.0.0/16], because: "the \\"staging\\" database"}
  - {allow: mirror.example.com, http: 80, methods: [GET], paths: [/pool/**]}
  - {allow: release.example.com, until: 2027-01-31T18:00:00Z, limits: {bytesOut: 50MiB}}
  - {deny: old.example.com, report: true}
phases:
  setup:
    rules:
      - allow: registry.example.com
      - deny: 203.0.113.0/24
  run: {}
`;
const TEAM = `version: 1
requires: {confinement: enforced}
limits: {connections: 128, bytesIn: 1GiB}
rules:
  - deny: gist.github.com
  - mute: "**.telemetry.example"
`;

let project: Project;
afterEach(() => project.remove());

function show(flags: Partial<ShowFlags> = {}, surroundings = project.surroundings): string {
  expect(showPolicy({ policies: [], allow: [], resolved: false, json: false, ...flags }, surroundings)).toBe(
    0,
  );
  return project.output();
}

function compile(requests: readonly PolicyRequest[]): CompiledPolicy {
  return compileOrRefuse(requests, createPolicyReader(project.folder));
}

describe('sand policy show', () => {
  it('shows what is found, what it extends and what is allowed besides, each line with its origin', () => {
    project = createProject({ 'sand.policy.yaml': POLICY, 'team.yaml': TEAM });
    expectGolden('show.txt', show({ allow: ['extra.example.com:8443'] }));
    expectGolden('show-resolved.txt', show({ resolved: true }));
    const json: unknown = JSON.parse(show({ json: true }));
    expectGolden('show.golden.json', `${JSON.stringify(json, null, 2)}\n`);
  });

  it('shows what the found sand.yaml names, and why a run would ask', () => {
    project = createProject({
      'sand.yaml': 'version: 1\npolicy: [offline, ./p.yaml]\n',
      'p.yaml': 'version: 1\nrules:\n  - allow: wide.example.com\n',
      'sand.policy.yaml': 'version: 1\nrules:\n  - allow: other.example.com\n',
    });
    const shown = show();
    expect(shown).toContain('# from sand.yaml (found)\n');
    expect(shown).toContain('# a run uses it only when it is named or approved');
    expect(shown).toContain('wide.example.com');
    expect(shown).not.toContain('other.example.com');
    expect(show({ policies: ['strict'] })).toContain('# from strict\n');
    project.write('sand.yaml', 'version: 1\n');
    expect(show()).toContain('other.example.com');
  });

  it.each([false, true])('prints a policy that is the same (resolved: %s)', (resolved) => {
    project = createProject({ 'sand.policy.yaml': POLICY, 'team.yaml': TEAM });
    const allow = ['extra.example.com:8443', 'a.example.com'];
    const text = show({ allow, resolved });
    const named = { kind: 'named', name: './sand.policy.yaml' } as const;
    const before = compile([named, ...allow.map((host) => ({ kind: 'allow', host }) as const)]);
    const after = compile([{ kind: 'text', text, file: 'shown', directory: project.folder }]);
    expect(after.digest).toBe(before.digest);
    expect(after.phases?.map(({ policy }) => policy.digest)).toEqual(
      before.phases?.map(({ policy }) => policy.digest),
    );
  });

  it.each(['offline', 'strict', 'balanced', 'observe', 'group:npm', 'group:npm/all'])(
    'prints %s so that it is the same',
    (name) => {
      project = createProject();
      for (const resolved of [false, true]) {
        const text = show({ policies: [name], resolved });
        const after = compile([{ kind: 'text', text, file: 'shown', directory: project.folder }]);
        expect(after.digest).toBe(compile([{ kind: 'named', name }]).digest);
      }
    },
  );

  it('says why a run would ask, until it is approved', () => {
    project = createProject({ 'sand.policy.yaml': 'version: 1\nrules:\n  - allow: wide.example.com\n' });
    expectGolden('show-unapproved.txt', show());
    const { digest } = compile([{ kind: 'named', name: './sand.policy.yaml' }]);
    rememberApproval(join(project.folder, 'home/.config/sand'), 'x', digest);
    expect(show()).not.toContain('wider than strict');
  });

  it('shows strict where nothing is named or found, and the ceiling below', () => {
    project = createProject();
    const path = project.write('ceiling.yaml', 'version: 1\nrules:\n  - allow: "*.example.com"\n');
    const text = show({}, { ...project.surroundings, environ: { SAND_CEILING: path } });
    expectGolden('show-ceiling.txt', text);
  });

  it('shows requirements of several origins in a line each, and those of the ceiling', () => {
    project = createProject({
      'sand.policy.yaml': 'version: 1\nname: web\nextends: [strict, ./team.yaml]\n',
      'team.yaml': 'version: 1\nlimits: {connections: 9}\nrequires: {isolation: gvisor}\n',
    });
    const path = project.write(
      'ceiling.yaml',
      'version: 1\nlimits: {connections: 5}\nrequires: {isolation: vm}\n',
    );
    const under = { ...project.surroundings, environ: { SAND_CEILING: path } };
    const text = show({}, under);
    expectGolden('show-requires.txt', text);
    const after = compile([{ kind: 'text', text, file: 'shown', directory: project.folder }]);
    expect(after.digest).toBe(compile([{ kind: 'named', name: './sand.policy.yaml' }]).digest);
    expect(JSON.parse(show({ json: true }, under))).toMatchObject({
      requires: {
        confinement: { value: 'enforced', origin: { file: 'preset:strict' } },
        isolation: { value: 'gvisor', origin: { file: 'team.yaml', line: 3 } },
      },
      ceilings: [{ requires: { confinement: null, isolation: { value: 'vm', origin: { line: 3 } } } }],
    });
  });

  it('lets no name of a file begin a line', () => {
    project = createProject();
    const name = './a\nrules: [{allow: evil.example}]\u001b[0m.yaml';
    project.write(name, 'version: 1\nname: x\nrules:\n  - allow: a.example.com\n');
    const text = show({ policies: [name] });
    const after = compile([{ kind: 'text', text, file: 'shown', directory: project.folder }]);
    expect(after.digest).toBe(compile([{ kind: 'named', name }]).digest);
    expect(text).not.toContain('\u001b');
  });

  it('refuses a policy that is wrong', () => {
    project = createProject({ 'a.yaml': 'version: 1\nrule: []\n' });
    expect(() => show({ policies: ['a.yaml'] })).toThrow('a.yaml:2:1');
  });
});
