/** `mode: run`: a command under a policy, and what a reviewer gets to see of it. */
import { describe, expect, it } from 'vitest';
import { DENIED } from '../origins.ts';
import { planJobs, SAND, USES } from './jobs.ts';

const jobs = planJobs();

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
