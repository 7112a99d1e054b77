/** docs/runners.md shows what the recipes are: its set-up makes their folders, its jobs extend their templates, its ceiling compiles. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { createPolicyReader } from '../../controller/run/policy-reader.ts';
import { compilePolicy } from '../../policies/compile.ts';
import { createProject } from '../controller/cli/policy/project.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const text = read('docs/runners.md');
const blocks = (language: string) =>
  [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, name, block = '']) =>
    name === language ? [block] : [],
  );
const [setUp = '', shell = ''] = blocks('sh');
const [job = '', ceiling = ''] = blocks('yaml');

it('makes the folders and the user that the unit and the guest file name', () => {
  const unit = read('recipes/runner/sand-runner@.service');
  const folder = /^WorkingDirectory=(.*)%i$/m.exec(unit)?.[1] ?? '';
  const user = /^User=(.*)$/m.exec(unit)?.[1] ?? '';
  const { mounts } = parse(read('recipes/runner/sand.yaml')) as { readonly mounts: readonly string[] };
  expect(mounts).toHaveLength(3);
  for (const mount of mounts) expect(setUp).toContain(`${folder}web/${mount.split(/[/:]/)[1]}`);
  expect(setUp).toMatch(new RegExp(`^useradd .* ${user}$`, 'm'));
  expect(setUp).toContain(`-o ${user} -g ${user}`);
  for (const [, path = ''] of setUp.matchAll(/(recipes\/\S+)/g)) expect(read(path)).not.toBe('');
});

it('extends templates that there are, and calls what they define', () => {
  const templates = parse(read('recipes/gitlab/sand.gitlab-ci.yml'));
  const { include, ...jobs } = parse(job);
  expect(include).toHaveLength(1);
  for (const one of Object.values<{ readonly extends: string }>(jobs))
    expect(templates).toHaveProperty([one.extends]);
  for (const line of jobs.build.script) expect(line).toMatch(/^in_sand /);
  expect(templates['.sand'].before_script[0]).toContain('in_sand() {');
  expect(shell.trim().split('\n')).toEqual([
    expect.stringContaining('/in-sand.sh '),
    expect.stringContaining('/in-sand.sh <'),
  ]);
});

it('shows a ceiling that compiles as one', () => {
  const project = createProject({ 'ceiling.yaml': ceiling });
  try {
    const path = `${project.folder}/ceiling.yaml`;
    const compiled = compilePolicy([{ kind: 'named', name: path }], createPolicyReader(project.folder), {
      role: 'ceiling',
    });
    expect(compiled.ok).toBe(true);
  } finally {
    project.remove();
  }
});
