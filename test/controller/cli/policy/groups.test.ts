import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { showGroups } from '../../../../controller/cli/policy/groups.ts';
import { printSchema } from '../../../../controller/cli/policy/schema.ts';
import { createProject, expectGolden } from './project.ts';

const project = createProject();
afterEach(() => project.remove());

function groups(name?: string, json = false): string {
  expect(showGroups({ name, json }, project.surroundings)).toBe(0);
  return project.output();
}

describe('sand policy groups', () => {
  it('lists the presets and groups', () => {
    expectGolden('groups.txt', groups());
    expect(JSON.parse(groups(undefined, true)).presets).toEqual(['offline', 'strict', 'balanced', 'observe']);
  });

  it.each(['conda', 'group:conda', 'group:conda/all'])('shows the group %s', (name) => {
    expectGolden('groups-conda.txt', groups(name));
  });

  it('shows a group as JSON', () => {
    expectGolden(
      'groups-conda.golden.json',
      `${JSON.stringify(JSON.parse(groups('conda', true)), null, 2)}\n`,
    );
  });

  it('shows what a group mutes, and what each of its hosts rests on', () => {
    expectGolden('groups-macos-guest.txt', groups('group:macos-guest/quiet'));
    const { hosts, muted } = JSON.parse(groups('macos-guest', true));
    expect(hosts[0]).toMatchObject({
      host: 'ocsp.apple.com',
      for: 'certificate validation',
      source: ['apple-101555'],
      measured: false,
    });
    expect(muted).toContainEqual({
      host: 'xp.apple.com',
      for: expect.any(String),
      source: ['apple-101555'],
      seen: ['apko-2361'],
      measured: true,
    });
    expect(() => groups('npm/quiet')).toThrow('there is no preset or group npm/quiet');
  });

  it('says of a host that is only inferred why it is there', () => {
    expectGolden('groups-xcode.txt', groups('xcode'));
  });

  it('shows a preset', () => {
    expectGolden('groups-strict.txt', groups('strict'));
    expect(JSON.parse(groups('offline', true))).toEqual({
      name: 'offline',
      mode: 'enforce',
      confinement: 'enforced',
      isolation: null,
      rules: [],
    });
  });

  it('says what was meant', () => {
    expect(() => groups('github-cor')).toThrow('there is no preset or group github-cor');
  });
});

describe('sand policy schema', () => {
  it('prints the schema of the package', () => {
    printSchema(project.surroundings.write);
    const kept = new URL('../../../../policies/policy.schema.json', import.meta.url);
    expect(JSON.parse(project.output())).toEqual(JSON.parse(readFileSync(kept, 'utf8')));
  });
});
