/**
 * The learning round trip on real jobs: a run is observed, the rules that it needed are written, and under them it
 * runs again with nothing denied and no rule unused.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../audit/event.ts';
import { policyOf } from '../../policies/reader.ts';
import { createWorld, type RunOutput, type World } from '../sand.ts';
import { createJobs, FILES, GIT, INDEX, type Jobs } from './jobs.ts';

let jobs: Jobs;
let world: World;
beforeAll(async () => {
  jobs = await createJobs();
  world = createWorld('caller');
});
afterAll(async () => {
  world.remove();
  await jobs.close();
});

type Decision = Extract<AuditEvent, { readonly kind: 'connection' | 'dns' | 'unplanted' }>;

const decisionsOf = (events: readonly AuditEvent[]): readonly Decision[] =>
  events.filter((event) => event.kind === 'connection' || event.kind === 'dns' || event.kind === 'unplanted');

/** Observes the job, learns a policy file from nothing, and runs the job under it. */
async function roundTrip(name: string, run: (flags: readonly string[]) => Promise<RunOutput>) {
  const file = `./${name}.yaml`;
  const observed = await run(['--policy', 'offline', '--learn']);
  expect(observed.code, observed.stderr).toBe(0);
  const proposed = observed.stderr;
  const learnt = await world.sand(['policy', 'learn', '--file', file, '--yes']);
  expect(learnt.code, learnt.stderr + learnt.stdout).toBe(0);
  const text = readFileSync(join(world.workspace, file), 'utf8');
  const again = await run(['--policy', file]);
  expect(again.code, again.stderr).toBe(0);
  const decisions = decisionsOf(await world.events());
  expect(
    decisions.filter(({ verdict, reason }) => verdict === 'deny' || reason === 'would-be-denied'),
  ).toEqual([]);
  const used = new Set(decisions.map(({ rule }) => rule?.id));
  expect(
    policyOf(text)
      .rules.map(({ id }) => id.replace(/^policy\//, `${name}/`))
      .filter((id) => !used.has(id)),
  ).toEqual([]);
  return { text, proposed, learnt: learnt.stdout };
}

describe('a job that is observed, learnt and run again', () => {
  it('installs a Python package from an index whose files lie elsewhere', async () => {
    const script = `rm -rf t && python3 -m pip install --no-input --disable-pip-version-check --no-cache-dir --target t \\
      --index-url http://${INDEX}/simple --trusted-host ${INDEX} --trusted-host ${FILES} thing && cat t/thing.py`;
    const { text, proposed, learnt } = await roundTrip('python', (flags) =>
      world.sand(['run', ...flags, '--upstream-proxy', jobs.parent, '--', 'sh', '-c', script]),
    );
    expect(text).toBe(`version: 1\nrules:\n  - allow: [${INDEX}, ${FILES}]\n    http: [80]\n`);
    expect(learnt).toContain(`widens   allows ${INDEX}`);
    // The run itself offered the same, for a file beside it that extends what it ran under.
    expect(proposed).toContain('+++ b/sand.policy.yaml\n');
    expect(proposed).toContain('+extends: [offline]\n');
    expect(proposed).toContain(`+  - allow: [${INDEX}, ${FILES}]\n`);
    expect(proposed).toContain('nothing is written');
  });

  it('clones a git repository', async () => {
    const script = `rm -rf clone && git clone -q http://${GIT}/repo.git clone && cat clone/file.txt`;
    const { text } = await roundTrip('git', (flags) =>
      world.sand(['run', ...flags, '--upstream-proxy', jobs.parent, '--', 'sh', '-c', script]),
    );
    expect(text).toBe(`version: 1\nrules:\n  - allow: ${GIT}\n    http: [80]\n`);
  });

  it.runIf(isRegistryReachable())(
    'installs npm packages by their lock from the registry of this machine',
    async () => {
      world.file(
        'package.json',
        JSON.stringify({ name: 'job', version: '1.0.0', dependencies: { 'is-number': '7.0.0' } }),
      );
      world.file('package-lock.json', JSON.stringify(LOCK));
      const { text } = await roundTrip('npm', (flags) =>
        world.sand([
          'run',
          ...flags,
          '--',
          'npm',
          'ci',
          '--no-audit',
          '--no-fund',
          '--cache',
          '/tmp/npm-cache',
        ]),
      );
      expect(text).toMatch(/^version: 1\nrules:\n {2}- allow: \S+\n( {4}(https|http|tcp): \[\d+\]\n)?$/);
    },
  );
});

const LOCK = {
  name: 'job',
  version: '1.0.0',
  lockfileVersion: 3,
  requires: true,
  packages: {
    '': { name: 'job', version: '1.0.0', dependencies: { 'is-number': '7.0.0' } },
    'node_modules/is-number': {
      version: '7.0.0',
      integrity:
        'sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng==',
      license: 'MIT',
      engines: { node: '>=0.12.0' },
    },
  },
};

/** The one case that leaves this machine; where it cannot, the other two tell the same. */
function isRegistryReachable(): boolean {
  try {
    execFileSync('npm', ['view', '--fetch-retries', '0', '--fetch-timeout', '5000', 'is-number', 'version'], {
      stdio: 'pipe',
      timeout: 20_000,
    });
    return true;
  } catch {
    return false;
  }
}
