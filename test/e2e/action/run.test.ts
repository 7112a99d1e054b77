/** `mode: run`: a command under a policy, and what a reviewer gets to see of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApi, type FakeApi } from '../../action/runner/api.ts';
import { DENIED } from '../origins.ts';
import { IN_GUEST, planJobs, SAND, USES } from './jobs.ts';

const jobs = planJobs();
const SECRETS = { GITHUB_TOKEN: 'ghs_of-the-job-itself' };
let api: FakeApi;
beforeAll(async () => {
  api = await createApi();
});
afterAll(() => api.close());

function inputs(more: Readonly<Record<string, string>>) {
  return { policy: './sand.policy.yaml', flags: jobs.flags(), sand: SAND, comment: 'false', ...more };
}

const fetchOf = (host: string) => `curl -sS -o /dev/null http://${host}:${jobs.origins().httpPort}/ || true`;

describe('a command under a policy', () => {
  it('that reaches what is allowed ends well, and says where its log is', async () => {
    const runner = jobs.start();
    runner.file('sand.policy.yaml', jobs.policy());
    const used = await runner.step({
      uses: USES,
      with: inputs({ run: `${fetchOf('allowed.origin.test')}\necho done` }),
    });
    expect(used.raw).toContain('done');
    expect(used).toMatchObject({ code: 0 });
    expect(Object.fromEntries(used.outputs)).toMatchObject({ 'exit-code': '0', denied: '0', drift: '0' });
    expect(used.outputs.get('audit-log')).toMatch(/audit\.jsonl$/);
    expect(used.summary).toContain('0 destinations denied');
    expect(used.summary).toContain('allowed.origin.test');
    expect(used.commands.filter(({ name }) => name === 'error')).toEqual([]);
  });

  it('that is denied something fails, on the line of the policy, with the patch that allows it', async () => {
    const runner = jobs.start();
    runner.file('sand.policy.yaml', jobs.policy(`  - deny: ${DENIED}`));
    const run = `${fetchOf(DENIED)}\n${fetchOf('other.origin.test')}`;
    const used = await runner.step({ uses: USES, with: inputs({ run }) });
    expect(used.code).toBe(120);
    expect(Object.fromEntries(used.outputs)).toMatchObject({ 'exit-code': '120', denied: '2' });
    const errors = used.commands.filter(({ name }) => name === 'error');
    expect(errors.map(({ properties }) => [properties.file, properties.line])).toEqual([
      ['sand.policy.yaml', '7'],
      ['sand.policy.yaml', '3'],
    ]);
    expect(used.summary).toContain(`- {allow: other.origin.test, http: [${jobs.origins().httpPort}]}`);
    expect(used.summary.length).toBeLessThan(60_000);
    expect(used.log).not.toContain('##[');
  });
});

describe('a pull request', () => {
  const EVENT = { event: { pull_request: { number: 7 } }, eventName: 'pull_request', secrets: SECRETS };

  it('gets a comment while something is denied, without what the guest was given, and loses it then', async () => {
    const runner = jobs.start({ ...EVENT, apiUrl: api.url, environment: { PASSWORD: 'sesame-of-the-job' } });
    runner.file('sand.policy.yaml', jobs.policy());
    const more = { comment: 'true', env: 'PASSWORD', 'fail-on': 'none' };
    const denied = fetchOf(`$PASSWORD.origin.test`);
    expect((await runner.step({ uses: USES, with: inputs({ ...more, run: denied }) })).code).toBe(0);
    expect(api.bodies()).toHaveLength(1);
    expect(api.bodies()[0]).toContain('1 destination denied');
    expect(api.bodies()[0]).not.toContain('sesame-of-the-job');
    const used = await runner.step({ uses: USES, with: inputs({ ...more, run: 'true' }) });
    expect(used.log).toContain('the comment on the pull request was removed');
    expect(api.bodies()).toEqual([]);
  });

  it('of a job in guests gets one for all its steps, when the job ends', async () => {
    const runner = jobs.start({ ...EVENT, apiUrl: api.url });
    runner.file('sand.policy.yaml', jobs.policy());
    const given = inputs({ mode: 'shell', comment: 'true', 'fail-on': 'none' });
    expect((await runner.step({ uses: USES, with: given })).code).toBe(0);
    for (const run of [fetchOf('a.origin.test'), 'true', fetchOf('b.origin.test')]) {
      expect((await runner.step({ shell: IN_GUEST, run })).code).toBe(0);
    }
    expect(api.bodies()).toEqual([]);
    expect((await runner.end()).map(({ code }) => code)).toEqual([0]);
    expect(api.bodies()).toHaveLength(1);
    expect(api.bodies()[0]).toMatch(
      /a\.origin\.test[\s\S]*b\.origin\.test[\s\S]*In 1 other step nothing was denied/,
    );
  });

  it('is judged the same where the token of a fork may not write', async () => {
    api.answer(403);
    const runner = jobs.start({ ...EVENT, apiUrl: api.url });
    const used = await runner.step({
      uses: USES,
      with: inputs({ policy: 'offline', comment: 'true', run: 'curl -sS http://denied.example/ || true' }),
    });
    api.answer(null);
    expect(used.code).toBe(120);
    expect(used.commands.map(({ name, properties }) => [name, properties.title])).toEqual([
      ['error', 'denied.example:80 was denied'],
      ['notice', 'sand: no comment on the pull request'],
    ]);
    expect(used.raw).not.toContain(SECRETS.GITHUB_TOKEN);
  });
});

describe('a command with a baseline', () => {
  it('fails where it drifts', async () => {
    const runner = jobs.start();
    runner.file('sand.policy.yaml', jobs.policy());
    const step = (run: string, flags = '') =>
      runner.step({
        uses: USES,
        with: inputs({ baseline: 'base.json', run, flags: `${jobs.flags()}\n${flags}` }),
      });
    const recorded = await step('true', '--update-baseline');
    expect(recorded.code).toBe(0);
    const used = await step(fetchOf('allowed.origin.test'));
    expect([used.code, used.outputs.get('drift')]).toEqual([121, '1']);
    expect(used.commands.map(({ name, properties }) => [name, properties.title])).toEqual([
      ['error', 'egress drifted from the baseline'],
    ]);
  });
});
