import { chmodSync, readdirSync, readlinkSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { lockPolicy } from '../../../../controller/cli/policy/lock.ts';
import { choosePolicy } from '../../../../controller/run/policy-choice.ts';
import { createProject, expectGolden, type Project } from './project.ts';

const POLICY = 'version: 1\nextends: [strict, group:conda, ./team/base.yaml]\n';
const BASE = 'version: 1\nrules:\n  - allow: base.example.com\n';

let project: Project;
afterEach(() => project.remove());

function lock(file?: string, check = false) {
  const code = lockPolicy({ file, check }, project.surroundings);
  return { code, text: project.output() };
}

describe('sand policy lock', () => {
  it('writes what is extended beside the policy, and the same again', () => {
    project = createProject({ 'sand.policy.yaml': POLICY, 'team/base.yaml': BASE });
    expect(lock()).toEqual({
      code: 0,
      text: 'sand.policy.lock: holds group:conda, preset:strict, sand.policy.yaml, team/base.yaml\n',
    });
    expectGolden('sand.policy.lock', project.read('sand.policy.lock'));
    expect(lock()).toEqual({ code: 0, text: 'sand.policy.lock: up to date\n' });
  });

  it('only looks with --check', () => {
    project = createProject({ 'sand.policy.yaml': POLICY, 'team/base.yaml': BASE });
    expect(lock(undefined, true)).toEqual({ code: 1, text: 'sand.policy.lock: missing\n' });
    lock();
    expect(lock(undefined, true).code).toBe(0);
    project.write('team/base.yaml', `${BASE}  - allow: more.example.com\n`);
    expect(lock(undefined, true)).toEqual({
      code: 1,
      text: 'sand.policy.lock: stale\n    the lock is stale: team/base.yaml has changed since\n',
    });
    project.write('sand.policy.lock', 'no lock');
    expect(lock(undefined, true).text).toContain('stale\n    a lock is a map of keys');
  });

  it('makes a broken lock anew', () => {
    project = createProject({ 'a.yaml': 'version: 1\nextends: strict\n', 'a.lock': 'no lock' });
    expect(lock('./a.yaml').code).toBe(0);
    expect(lock('./a.yaml', true).code).toBe(0);
  });

  it('replaces the file as a whole, keeps its mode, and goes through a link', () => {
    project = createProject({ 'a.yaml': 'version: 1\nextends: strict\n', 'kept/real.lock': 'old' });
    symlinkSync('kept/real.lock', join(project.folder, 'a.lock'));
    chmodSync(join(project.folder, 'kept/real.lock'), 0o640);
    lock('a.yaml');
    expect(readlinkSync(join(project.folder, 'a.lock'))).toBe('kept/real.lock');
    expect(statSync(join(project.folder, 'kept/real.lock')).mode & 0o777).toBe(0o640);
    expect(readdirSync(join(project.folder, 'kept'))).toEqual(['real.lock']);
  });

  it('refuses what is no file, and what does not compile', () => {
    project = createProject({ 'wrong.yaml': 'version: 3\n' });
    expect(() => lock('strict')).toThrow('strict is no policy file');
    expect(() => lock('group:npm/all')).toThrow('is no policy file');
    expect(() => lock('wrong.yaml')).toThrow('wrong.yaml:1:10');
  });
});

describe('a run with a stale lock', () => {
  it('says so, and one with a fresh lock does not', async () => {
    project = createProject({ 'a.yaml': 'version: 1\nextends: strict\n' });
    lock('a.yaml');
    const { cwd, home, environ } = project.surroundings;
    const choose = () =>
      choosePolicy({ policies: ['a.yaml'], allows: [], cwd, home, environ, told: () => {} });
    expect((await choose()).notices).toEqual([]);
    project.write('a.yaml', 'version: 1\nextends: [strict]\n');
    expect((await choose()).notices).toEqual([
      {
        code: 'policy-lock-stale',
        detail:
          'a.lock: the lock is stale: a.yaml has changed since. Compare with sand policy diff, then run sand policy lock.',
      },
    ]);
  });

  it('that is hostile does not start', async () => {
    project = createProject({ 'a.yaml': 'version: 1\nextends: strict\n' });
    lock('a.yaml');
    project.write('a.lock', project.read('a.lock').replace('pypi.org', 'evil.example'));
    const { cwd, home, environ } = project.surroundings;
    const choice = choosePolicy({ policies: ['a.yaml'], allows: [], cwd, home, environ, told: () => {} });
    await expect(choice).rejects.toThrow(
      'no version of sand that this one knows shipped such a preset:strict',
    );
  });
});
