/** `mode: shell`: the `run:` steps of a job in guests, what they hand on to each other, and what they cannot hand to the host. */
import { describe, expect, it } from 'vitest';
import { expression, IN_GUEST, planJobs, SAND, USES } from './jobs.ts';

const jobs = planJobs();
const WITH = { mode: 'shell', policy: 'offline', sand: SAND, comment: 'false' };

describe('a job in guests', () => {
  it('hands variables, paths, outputs and summaries from step to step', async () => {
    const runner = jobs.start();
    const used = await runner.step({ id: 'sand', uses: USES, with: WITH });
    expect([used.code, used.outputs.get('shell')]).toEqual([0, IN_GUEST]);
    const first = await runner.step({
      id: 'first',
      shell: IN_GUEST,
      run: [
        'echo "in a guest: $SAND"',
        'echo "VERSION=1.2" >> "$GITHUB_ENV"',
        'printf "NOTES<<EOF\\none\\ntwo\\nEOF\\n" >> "$GITHUB_ENV"',
        'mkdir -p tools; printf "#!/bin/sh\\necho tool ran\\n" > tools/tool; chmod +x tools/tool',
        'echo "$PWD/tools" >> "$GITHUB_PATH"',
        'echo "digest=abc" >> "$GITHUB_OUTPUT"',
        'echo "# A summary" >> "$GITHUB_STEP_SUMMARY"',
      ].join('\n'),
    });
    expect(first.raw).toContain('in a guest: 1');
    expect(first).toMatchObject({ code: 0 });
    expect(first.outputs.get('digest')).toBe('abc');
    expect(first.summary).toContain('# A summary');
    const second = await runner.step({
      shell: IN_GUEST,
      run: `echo "$VERSION $NOTES"; tool; echo "${expression('steps.first.outputs.digest')}"`,
    });
    expect(second.log).toMatch(/1\.2 one\ntwo\ntool ran\nabc/);
    const host = await runner.step({ run: 'echo "host: [$VERSION] [$(command -v tool)] [$SAND]"' });
    expect(host.log).toContain('host: [] [] []');
  });
});
