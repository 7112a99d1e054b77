import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { checkPolicies } from '../../../../controller/cli/policy/check.ts';
import { testPolicies } from '../../../../controller/cli/policy/test.ts';
import { createProject, type Project } from './project.ts';

const text = readFileSync(new URL('../../../../docs/recipes.md', import.meta.url), 'utf8');
const recipes = text
  .split(/^## /m)
  .slice(1)
  .map((section) => {
    const [policy = '', table = ''] = [...section.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(
      ([, yaml = '']) => yaml,
    );
    return { title: section.split('\n')[0] ?? '', policy, table };
  });

let project: Project;
afterEach(() => project.remove());

describe('docs/recipes.md', () => {
  it('has ten policies', () => {
    project = createProject();
    expect(recipes.map(({ title }) => title)).toEqual([
      'Web build',
      'Python data job',
      'Rust in CI',
      'An agent with a model key',
      'Internal hosts behind a company proxy',
      'iOS build',
      'Database integration tests',
      'Site deploy',
      'Security scan',
      'Fully offline',
    ]);
  });

  describe.each(recipes)('$title', ({ policy, table }) => {
    it('compiles without an error, and without a warning that it does not answer', () => {
      project = createProject({ 'sand.policy.yaml': policy });
      const code = checkPolicies({ files: [], strict: true, format: 'text' }, project.surroundings);
      expect([code, project.output()]).toEqual([0, expect.any(String)]);
    });

    it('allows and denies what its table says', () => {
      project = createProject({ 'sand.policy.yaml': policy, 'sand.policy-test.yaml': table });
      const code = testPolicies({ files: ['sand.policy-test.yaml'], format: 'text' }, project.surroundings);
      expect([code, project.output()]).toEqual([0, expect.stringContaining('as expected')]);
    });
  });
});
