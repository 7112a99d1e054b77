import { readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkPolicies } from '../../../../controller/cli/policy/check.ts';
import { formatPolicies } from '../../../../controller/cli/policy/fmt.ts';
import { type InitFlags, initPolicy } from '../../../../controller/cli/policy/init.ts';
import { createProject, expectGolden, type Project } from './project.ts';

let project: Project;
afterEach(() => project.remove());

async function init(flags: Partial<InitFlags> = {}): Promise<string> {
  const none = {
    preset: undefined,
    group: [],
    allow: [],
    deny: [],
    name: undefined,
    output: undefined,
    ask: null,
  };
  expect(await initPolicy({ ...none, ...flags }, project.surroundings)).toBe(0);
  return project.output();
}

/** Answers in turn; what was asked is kept. */
function person(...answers: string[]) {
  const asked: string[] = [];
  const ask = async (question: string): Promise<string> => {
    asked.push(question);
    return answers.shift() ?? '';
  };
  return { ask, asked };
}

describe('sand policy init', () => {
  it('writes strict where nothing is said, and it passes the strict check', async () => {
    project = createProject();
    expectGolden('init.txt', await init());
    expect(checkPolicies({ files: [], strict: true, format: 'text' }, project.surroundings)).toBe(0);
  });

  it('writes what the flags say, in canonical form', async () => {
    project = createProject();
    const text = await init({
      preset: 'offline',
      group: ['npm', 'group:github-core', 'npm'],
      allow: ['api.example.com', 'db.example.com:5432', '*.cdn.example.com', '198.51.100.7:22'],
      deny: ['gist.github.com', '*.example.org'],
      name: 'web',
      output: './web.yaml',
    });
    expectGolden('init-flags.txt', text);
    expect(formatPolicies({ files: ['web.yaml'], check: true }, project.surroundings)).toBe(0);
  });

  it('asks, and asks again where an answer cannot be used', async () => {
    project = createProject();
    const { ask, asked } = person('strikt', '', 'npm githb-core', 'npm, github-core', 'api.example.com');
    await init({ ask });
    expect(asked).toMatchInlineSnapshot(`
      [
        "Begin with offline, strict, balanced, observe [strict]: ",
        "there is no preset strikt; write one of: offline, strict, balanced, observe: ",
        "Groups besides, as npm or github-core/all; sand policy groups lists them []: ",
        "there is no group githb-core; write github-core: ",
        "Hosts besides, as HOST or HOST:PORT []: ",
      ]
    `);
    expect(project.read('sand.policy.yaml')).toContain('extends: [strict, group:npm, group:github-core]');
    expect(project.read('sand.policy.yaml')).toContain('- allow: api.example.com');
  });

  it('gives up on a person who cannot be understood', async () => {
    project = createProject();
    await expect(init(person('x', 'x', 'x'))).rejects.toThrow('there is no preset x');
    expect(readdirSync(project.folder)).toEqual(['.git']);
  });

  it('overwrites nothing, not even through a link', async () => {
    project = createProject({ 'sand.policy.yaml': 'mine' });
    await expect(init()).rejects.toThrow('is there already');
    expect(project.read('sand.policy.yaml')).toBe('mine');
    symlinkSync('elsewhere.yaml', join(project.folder, 'link.yaml'));
    await expect(init({ output: 'link.yaml' })).rejects.toThrow('is there already');
    await expect(init({ output: 'none/a.yaml' })).rejects.toThrow('ENOENT');
  });

  it.each<[Partial<InitFlags>, string]>([
    [{ preset: 'strickt' }, 'there is no preset strickt'],
    [{ group: ['npn'] }, 'there is no group npn'],
    [{ allow: ['*.com'] }, 'covers names of every owner'],
    [{ allow: ['https://a.example'] }, 'is a URL'],
    [{ deny: ['a b'] }, 'no host name'],
    [{ name: 'a b' }, 'cannot be a name'],
  ])('refuses %j and writes nothing', async (flags, said) => {
    project = createProject();
    await expect(init(flags)).rejects.toThrow(said);
    expect(readdirSync(project.folder)).toEqual(['.git']);
  });
});
