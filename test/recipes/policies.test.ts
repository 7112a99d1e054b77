/** Every policy of recipes/ compiles, has no warning that its `because` does not answer, and judges what its table says. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkPolicies } from '../../controller/cli/policy/check.ts';
import { testPolicies } from '../../controller/cli/policy/test.ts';
import { createProject, type Project } from '../controller/cli/policy/project.ts';

const RECIPES = new URL('../../recipes/', import.meta.url).pathname;
const policies = readdirSync(RECIPES, { recursive: true, encoding: 'utf8' }).filter((path) =>
  path.endsWith('.policy.yaml'),
);

let project: Project;
afterEach(() => project.remove());

it('are found', () => {
  project = createProject();
  expect(policies.length).toBeGreaterThan(1);
});

describe.each(policies)('recipes/%s', (path) => {
  const name = basename(path);
  const table = name.replace('.policy.yaml', '.policy-test.yaml');
  const text = (of: string) => readFileSync(join(RECIPES, path, '..', of), 'utf8');

  it('compiles without an error, and without a warning that it does not answer', () => {
    project = createProject({ [name]: text(name) });
    const code = checkPolicies({ files: [name], strict: true, format: 'text' }, project.surroundings);
    expect([code, project.output()]).toEqual([0, expect.any(String)]);
  });

  it('allows and denies what its table says', () => {
    project = createProject({ [name]: text(name), [table]: text(table) });
    const code = testPolicies({ files: [table], format: 'text' }, project.surroundings);
    expect([code, project.output()]).toEqual([0, expect.stringContaining('as expected')]);
  });
});
