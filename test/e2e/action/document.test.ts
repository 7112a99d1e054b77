/** The workflows of docs/github-action.md, run as they stand there; only where sand comes from is said here. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Runner, Step, StepOutcome } from '../../action/runner/runner.ts';
import { planJobs, SAND } from './jobs.ts';

const jobs = planJobs();
const PAGE = new URL('../../../docs/github-action.md', import.meta.url);

interface Workflow {
  readonly jobs: Readonly<
    Record<
      string,
      { readonly defaults?: { readonly run: { readonly shell: string } }; readonly steps: readonly Step[] }
    >
  >;
}

function workflow(heading: string): Workflow {
  const section = readFileSync(PAGE, 'utf8').split(`\n## ${heading}\n`)[1] ?? '';
  return parse(/```yaml\n([\s\S]*?)```/.exec(section)?.[1] ?? '') as Workflow;
}

async function runJob(runner: Runner, { jobs: all }: Workflow, with_: Readonly<Record<string, string>>) {
  const [job] = Object.values(all);
  const outcomes: StepOutcome[] = [];
  for (const step of job?.steps ?? []) {
    if (step.uses?.startsWith('actions/checkout@')) continue;
    const shell = step.shell ?? job?.defaults?.run.shell;
    const given = step.uses === undefined ? {} : { with: { ...step.with, ...with_ } };
    outcomes.push(await runner.step({ ...step, ...given, ...(shell === undefined ? {} : { shell }) }));
  }
  return { outcomes, ends: await runner.end() };
}

const executable = (runner: Runner, name: string, text: string) => {
  runner.file(name, `#!/bin/sh\n${text}\n`);
  return runner.host(['chmod', '+x', name]);
};

describe('docs/github-action.md', () => {
  it('shows a command that works', async () => {
    const runner = jobs.start();
    runner.file('sand.policy.yaml', jobs.policy());
    await executable(runner, 'build.sh', 'echo built > built');
    await executable(runner, 'test.sh', 'cat built; echo "in a guest: $SAND"');
    const { outcomes } = await runJob(runner, workflow('A command'), { sand: SAND });
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0]);
    expect(outcomes[0]?.log).toContain('built\nin a guest: 1');
    expect(JSON.parse(outcomes[1]?.raw ?? '')).toMatchObject({ exitCode: 0, denied: [] });
  });

  it('shows a job whose steps are in guests', async () => {
    const runner = jobs.start({ secrets: { PUBLISH_TOKEN: 'sesame-of-the-page' } });
    runner.file('sand.policy.yaml', jobs.policy());
    await executable(runner, 'build.sh', 'echo "VERSION=1.2" >> "$GITHUB_ENV"');
    await executable(runner, 'publish.sh', 'echo "publishes $1 with $PUBLISH_TOKEN in a guest: $SAND"');
    const { outcomes, ends } = await runJob(runner, workflow('Every step of a job'), { sand: SAND });
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(outcomes[2]?.log).toContain('publishes 1.2 with *** in a guest: 1');
    expect(outcomes[3]?.log).toContain('on the host, 1.2');
    expect(ends.map(({ code }) => code)).toEqual([0]);
  });

  it('shows a policy that changes', async () => {
    const event = { pull_request: { number: 7, base: { sha: '' } } };
    const runner = jobs.start({ event, eventName: 'pull_request' });
    runner.file('sand.policy.yaml', jobs.policy());
    await runner.host(['git', 'init', '-q']);
    await runner.host(['git', 'add', '-A']);
    const author = ['-c', 'user.name=t', '-c', 'user.email=t@example.com'];
    await runner.host(['git', ...author, 'commit', '-q', '-m', 'base']);
    event.pull_request.base.sha = (await runner.host(['git', 'rev-parse', 'HEAD'])).trim();
    runner.event(event);
    runner.file('sand.policy.yaml', jobs.policy('  - allow: b.example'));
    const { outcomes } = await runJob(runner, workflow('A policy that changes'), { sand: SAND });
    expect(outcomes.map(({ code }) => code)).toEqual([0]);
    expect(outcomes[0]?.summary).toContain('1 widening');
  });
});
