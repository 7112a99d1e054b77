/** `mode: diff` in a pull request: the policy of the checkout against that of the base commit, and the one comment. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApi, type FakeApi } from '../../action/runner/api.ts';
import type { Runner } from '../../action/runner/runner.ts';
import { planJobs, SAND, USES } from './jobs.ts';

const jobs = planJobs();
const SECRETS = { GITHUB_TOKEN: 'ghs_of-the-job-itself' };
let api: FakeApi;
beforeAll(async () => {
  api = await createApi();
});
afterAll(() => api.close());

const policyOf = (...hosts: readonly string[]) =>
  [
    'version: 1',
    'extends: [./company.yaml]',
    'rules:',
    ...hosts.map((host) => `  - allow: "${host}"`),
    '',
  ].join('\n');
const GIT = ['git', '-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'commit.gpgsign=false'];

/** A checkout of a pull request whose base allows `before`. */
async function pull(before: string | null, after: string | null): Promise<Runner> {
  const event = { pull_request: { number: 7, base: { sha: '' } } };
  const runner = jobs.start({ event, eventName: 'pull_request', apiUrl: api.url, secrets: SECRETS });
  runner.file('company.yaml', 'version: 1\nextends: [offline]\n');
  if (before !== null) runner.file('sand.policy.yaml', before);
  await runner.host(['git', 'init', '-q']);
  await runner.host(['git', 'add', '-A']);
  await runner.host([...GIT, 'commit', '-q', '-m', 'base']);
  event.pull_request.base.sha = (await runner.host(['git', 'rev-parse', 'HEAD'])).trim();
  runner.event(event);
  if (after === null) await runner.host(['git', 'rm', '-q', 'sand.policy.yaml']);
  else runner.file('sand.policy.yaml', after);
  return runner;
}

const diff = (runner: Runner, more: Readonly<Record<string, string>> = {}) =>
  runner.step({ uses: USES, with: { mode: 'diff', sand: SAND, ...more } });

describe('a policy that changes in a pull request', () => {
  it('fails where it widens, on the line of the rule, and says so in one comment', async () => {
    const runner = await pull(policyOf('a.example'), policyOf('a.example', '*.b.example'));
    const used = await diff(runner);
    expect(used.raw).toContain('1 widening');
    expect(used.code).toBe(1);
    expect(Object.fromEntries(used.outputs)).toMatchObject({ widens: '1', narrows: '0' });
    const [error] = used.commands.filter(({ name }) => name === 'error');
    expect(error?.properties).toMatchObject({ file: 'sand.policy.yaml', line: '5' });
    expect(error?.data).toMatch(/now allowed: https to \S+\.b\.example:443/);
    expect(api.bodies()).toHaveLength(1);
    expect(api.bodies()[0]).toContain('1 widening, 0 narrowings');
    // Again, and when it is taken back.
    expect((await diff(runner, { 'fail-on': 'none' })).code).toBe(0);
    expect(api.bodies()).toHaveLength(1);
    runner.file('sand.policy.yaml', policyOf('a.example'));
    expect((await diff(runner)).code).toBe(0);
    expect(api.bodies()).toEqual([]);
  });

  it('passes where it narrows, unless any change counts; without a file it is strict', async () => {
    const narrower = await pull(policyOf('a.example', 'b.example'), policyOf('a.example'));
    expect((await diff(narrower, { comment: 'false' })).code).toBe(0);
    expect((await diff(narrower, { comment: 'false', 'fail-on': 'any' })).code).toBe(1);
    const gone = await pull(policyOf('a.example'), null);
    const used = await diff(gone, { comment: 'false' });
    expect([used.code, Number(used.outputs.get('widens')) > 5]).toEqual([1, true]);
    expect(used.summary).toContain('strict');
    expect(api.bodies()).toEqual([]);
  });

  it('fails closed where the policy is none, the base is not there, or it lies outside', async () => {
    const broken = await pull(policyOf('a.example'), 'version: 1\nrules:\n  - alow: a.example\n');
    const used = await diff(broken, { 'fail-on': 'none' });
    expect([used.code, used.commands.at(-1)?.properties.title]).toEqual([2, 'sand (policy-invalid)']);
    expect((await diff(broken, { policy: '../../../etc/passwd' })).code).toBe(2);
    broken.event({ pull_request: { number: 7, base: { sha: 'f'.repeat(40) } } });
    expect((await diff(broken)).commands.at(-1)?.properties.title).toBe('sand (policy-missing)');
    broken.event({ pull_request: { number: 7, base: { sha: '--upload-pack=x' } } });
    expect((await diff(broken)).code).toBe(2);
  });

  it('whose token may not write comments says so, and is judged all the same', async () => {
    const runner = await pull(policyOf('a.example'), policyOf('a.example', 'b.example'));
    api.answer(403);
    const used = await diff(runner, { 'fail-on': 'none' });
    api.answer(null);
    expect(used.code).toBe(0);
    const notices = used.commands.filter(({ name }) => name === 'notice');
    expect(notices.map(({ properties }) => properties.title)).toEqual([
      'sand: no comment on the pull request',
    ]);
    expect(used.summary).toContain('b&#46;example');
    expect(used.raw).not.toContain(SECRETS.GITHUB_TOKEN);
  });

  it('is not compared where the event has no commit before', async () => {
    const runner = jobs.start({ event: {} });
    const used = await diff(runner);
    expect([used.code, used.commands.map(({ name }) => name)]).toEqual([0, ['notice']]);
  });
});
