import { describe, expect, it } from 'vitest';
import { checkTart, type TartHost } from '../../../../controller/backends/tart/checks.ts';
import type { Attempt } from '../../../../controller/doctor/attempt.ts';

const ran = (stdout: string, exitCode = 0, stderr = ''): Attempt => ({
  kind: 'ran',
  exitCode,
  stdout,
  stderr,
});
const machine = (OS: string) =>
  JSON.stringify({ OS, CPU: 4, Memory: 8192, Disk: 50, Size: '1', Running: true, State: 'running' });
const list = (...names: readonly string[]) =>
  JSON.stringify(names.map((Name) => ({ Source: 'local', Name, Running: true, State: 'running' })));

function host(answers: Readonly<Record<string, Attempt>> = {}, other: Partial<TartHost> = {}): TartHost {
  const all: Readonly<Record<string, Attempt>> = {
    'tart --version': ran('2.35.0\n'),
    'tart list': ran('[]'),
    'tart get': ran(machine('darwin')),
    'security show-keychain-info': ran('', 0),
    'softnet --version': ran('softnet 0.22.0\n'),
    'lsof -nP': ran('p1\ncmDNSResponder\n'),
    ...answers,
  };
  return {
    platform: 'darwin',
    architecture: 'arm64',
    release: '25.0.0',
    uid: 501,
    run: async (program, args) => all[`${program} ${args[0]}`] ?? { kind: 'missing' },
    freeBytes: () => 200e9,
    runs: '/Users/me/.local/state/sand/runs',
    ...other,
  };
}

async function states(of: TartHost): Promise<Readonly<Record<string, string>>> {
  const findings = await checkTart(of);
  return Object.fromEntries(findings.map(({ check, state }) => [check, state]));
}

describe('the doctor\u2019s look at Tart', () => {
  it('finds nothing on a Mac that has all', async () => {
    const found = await states(host());
    expect(Object.values(found)).toEqual(Object.keys(found).map(() => 'ok'));
  });

  it('tells whether stock Softnet may become root, which only one link needs', async () => {
    const told = async (bits: string) =>
      (await checkTart(host({ 'sh -c': ran(bits) }))).find(({ check }) => check === 'softnet')?.message;
    expect(await told('-rwsr-xr-x  1 0  80  2100000 Aug  7 10:00 /opt/homebrew/bin/softnet\n')).toMatch(
      /is SUID root$/,
    );
    for (const bits of ['-rwsr-xr-x 1 501 80 1 x\n', '-rwxr-xr-x 1 0 80 1 x\n', ''])
      expect(await told(bits)).toContain('is not SUID root');
  });

  it.each<[string, string, string, TartHost]>([
    ['an Intel Mac', 'Mac', 'failed', host({}, { architecture: 'x64' })],
    ['macOS 13', 'Mac', 'failed', host({}, { release: '22.6.0' })],
    ['another system', 'Mac', 'warning', host({}, { platform: 'linux' })],
    ['no tart', 'tart', 'failed', host({ 'tart --version': { kind: 'missing' } })],
    ['an old tart', 'tart', 'failed', host({ 'tart --version': ran('2.32.1\n') })],
    ['something else called tart', 'tart', 'failed', host({ 'tart --version': ran('hello') })],
    ['a list that does not read', 'running guests', 'failed', host({ 'tart list': ran('{') })],
    ['two guests', 'running guests', 'warning', host({ 'tart list': ran(list('a', 'b')) })],
    ['a guest', 'running guests', 'ok', host({ 'tart list': ran(list('a')) })],
    ['no image', 'guest image', 'warning', host({ 'tart get': ran('', 2) })],
    ['a locked keychain', 'login keychain', 'failed', host({ 'security show-keychain-info': ran('', 36) })],
    ['no softnet', 'softnet', 'ok', host({ 'softnet --version': { kind: 'missing' } })],
    ['root', 'user', 'warning', host({}, { uid: 0 })],
    ['a full disk', 'disk', 'warning', host({}, { freeBytes: () => 10e9 })],
    ['a disk that cannot be looked at', 'disk', 'warning', host({}, { freeBytes: () => null })],
    ['a long path', 'cable socket', 'failed', host({}, { runs: `/${'x'.repeat(90)}` })],
  ])('%s: %s is %s', async (_what, check, state, of) => {
    expect((await states(of))[check]).toBe(state);
  });

  it('tells of the tap that moved', async () => {
    const findings = await checkTart(host({ 'tart --version': ran('2.32.1\n') }));
    expect(findings.at(-1)).toMatchObject({ remedy: expect.stringContaining('openai/tools/tart') });
  });

  it('counts guests of Linux for nothing', async () => {
    const of = host({ 'tart list': ran(list('a', 'b')), 'tart get': ran(machine('linux')) });
    expect((await states(of))['running guests']).toBe('ok');
  });
});
