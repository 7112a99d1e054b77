/** The wall of checks, with recorded answers of the tool in its place. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type AppleHost,
  checkAppleContainer,
} from '../../../../controller/backends/apple-container/checks.ts';
import type { Attempt } from '../../../../controller/doctor/attempt.ts';

const NETWORKED = readFileSync(join(import.meta.dirname, 'recorded/ls-0.12.3.json'), 'utf8');

function ran(stdout: string, exitCode = 0, stderr = ''): Attempt {
  return { kind: 'ran', exitCode, stdout, stderr };
}

const GOOD: Readonly<Record<string, Attempt>> = {
  '--version': ran('container CLI version 1.2.2 (build: release, commit: 0190097)\n'),
  'system status': ran('{"status":"running"}'),
  'system version': ran(
    '[{"appName":"container","version":"1.2.2"},{"appName":"container-apiserver","version":"container-apiserver version 1.2.2 (build: release, commit: 0190097)"}]',
  ),
  'image inspect': ran(
    '[{"configuration":{"name":"debian","descriptor":{"digest":"sha256:1"}},"variants":[]}]',
  ),
  run: ran('Inter-|   Receive\n face |bytes\n    lo:       0       0\n'),
  ls: ran('[]'),
};

function hostWith(answers: Readonly<Record<string, Attempt>>, more: Partial<AppleHost> = {}) {
  const asked: string[] = [];
  const all = { ...GOOD, ...answers };
  const host: AppleHost = {
    platform: 'darwin',
    architecture: 'arm64',
    release: '25.6.0',
    relay() {},
    async container(args) {
      asked.push(args.join(' '));
      const key = Object.keys(all).find((words) => args.join(' ').startsWith(words));
      return all[key ?? ''] ?? ran('', 1, 'Error: not recorded');
    },
    ...more,
  };
  return { host, asked };
}

async function findingsOf(answers: Readonly<Record<string, Attempt>>, more: Partial<AppleHost> = {}) {
  return checkAppleContainer(hostWith(answers, more).host);
}

describe('the checks of the apple-container backend', () => {
  it('are fine on a Mac that is set up, in their order', async () => {
    const findings = await findingsOf({});
    expect(findings.map(({ check, state }) => `${state} ${check}`)).toEqual([
      'ok guest relay',
      'ok Mac',
      'ok container',
      'ok container services',
      'ok container versions',
      'ok guest image',
      'ok machine without a network',
      'ok other containers',
    ]);
  });

  it.each([
    [
      'a tool that is not there',
      { '--version': { kind: 'missing' } as Attempt },
      'container',
      /newest release/,
    ],
    ['an old tool', { '--version': ran('container CLI version 1.2.0 (x)') }, 'container', /newest release/],
    ['another tool of that name', { '--version': ran('podman 5') }, 'container', /newest release/],
    [
      'services that are down',
      { 'system status': ran('{"status":"unregistered"}', 1) },
      'container services',
      /system start/,
    ],
    [
      'a tool that hangs',
      { 'system status': { kind: 'slow', timeoutMs: 1 } as Attempt },
      'container services',
      /system start/,
    ],
    [
      'services of another version',
      {
        'system version': ran(
          '[{"appName":"container","version":"1.2.2"},{"appName":"container-apiserver","version":"1.2.1"}]',
        ),
      },
      'container versions',
      /system stop/,
    ],
    ['no image', { 'image inspect': ran('', 1, 'Error: not found') }, 'guest image', /sand image pull/],
    [
      'a machine that does not boot',
      { run: ran('', 1, 'Error: no kernel') },
      'machine without a network',
      /logs/,
    ],
    [
      'a machine with a card',
      { run: ran('a\nb\n lo: 1\n eth0: 1\n') },
      'machine without a network',
      /do not use/,
    ],
    ['a machine that says nothing', { run: ran('') }, 'machine without a network', /do not use/],
  ])('stop at %s, and say what to do', async (_, answers, check, remedy) => {
    const findings = await findingsOf(answers);
    const last = findings.at(-1);
    expect(last).toMatchObject({ check, state: 'failed' });
    expect(last?.remedy).toMatch(remedy);
  });

  it.each([
    ['an Intel Mac', { architecture: 'x64' }, 'failed'],
    ['macOS 15', { release: '24.6.0' }, 'failed'],
    ['another system', { platform: 'linux' }, 'warning'],
  ])('tell %s', async (_, more, state) => {
    expect((await findingsOf({}, more)).find(({ check }) => check === 'Mac')?.state).toBe(state);
  });

  it('warn of a container outside of sand that wants port 53', async () => {
    const last = (await findingsOf({ ls: ran(NETWORKED) })).at(-1);
    expect(last).toMatchObject({ check: 'other containers', state: 'warning' });
    expect(last?.message).toMatch(/^web run with a network/);
  });

  it('remove the trial that did not end', async () => {
    const { host, asked } = hostWith({ run: { kind: 'slow', timeoutMs: 1 } });
    await checkAppleContainer(host);
    expect(asked.at(-1)).toMatch(/^delete --force -- sand-doctor-\d+$/);
  });

  it('say where the guest relay was not built', async () => {
    const findings = await findingsOf(
      {},
      {
        relay() {
          throw new Error('it is not there');
        },
      },
    );
    expect(findings[0]).toMatchObject({
      check: 'guest relay',
      state: 'failed',
      remedy: 'npm run build:relay',
    });
  });
});
