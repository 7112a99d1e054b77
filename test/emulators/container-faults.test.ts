import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endEmulator, setEmulator } from './container/emulation.ts';
import { homeOf } from './container/home.ts';
import type { Settings } from './container/settings.ts';
import { createEmulated, type Emulated, eventually, resultOf } from './container-call.ts';

describe('faults of the emulated container', () => {
  let emulated: Emulated;
  beforeAll(async () => {
    emulated = createEmulated();
    await emulated.call('create', '--name', 'faulty', '--network', 'none', '--', 'host', 'sleep', '100');
  });
  afterAll(() => emulated.end());

  const show = (...faults: Settings['faults']) => setEmulator(emulated.home, { faults });

  it('has no server when told so, and says that in the status', async () => {
    setEmulator(emulated.home, { server: 'down' });
    const { status, stderr } = await emulated.call('ls');
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^Error: XPC connection error.*\n.*container system start/),
    ]);
    const told = await emulated.call('system', 'status', '--format', 'json');
    expect([told.status, JSON.parse(told.stdout).status]).toEqual([1, 'unregistered']);
  });

  it('hangs, and is ended with everything else', async () => {
    show({ fault: 'hang', command: 'list' });
    const ended = resultOf(emulated.begin('ls'));
    await eventually('the call has begun to hang', async () => {
      await endEmulator(emulated.home);
      return (await Promise.race([ended, null])) !== null;
    });
    expect((await ended).status).toBe(null);
  });

  it('counts: some are let through, each other one fails, then it is over', async () => {
    show({ fault: 'xpc-error', command: 'list', skip: 1, every: 2, times: 1 });
    const statuses = [];
    for (let round = 0; round < 5; round += 1) statuses.push((await emulated.call('ls')).status);
    expect(statuses).toEqual([0, 0, 1, 0, 0]);
  });

  it('prints what nobody can read, or nothing', async () => {
    show(
      { fault: 'broken-json', command: 'inspect' },
      { fault: 'garbage', command: 'list' },
      { fault: 'silent', command: 'start', status: 3 },
    );
    const inspected = await emulated.call('inspect', 'faulty');
    expect(inspected.status).toBe(0);
    expect(() => JSON.parse(inspected.stdout)).toThrow();
    expect(() => JSON.parse('')).toThrow();
    expect((await emulated.call('ls', '--format', 'json')).stdout).toContain('not what was asked for');
    expect(await emulated.call('start', 'faulty')).toEqual({ status: 3, stdout: '', stderr: '' });
  });

  it('fails with what it is told to say', async () => {
    show({ fault: 'fail', command: 'start', message: 'VZErrorDomain Code=2' });
    expect(await emulated.call('start', 'faulty')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'Error: VZErrorDomain Code=2\n',
    });
  });

  it('lies about networks and nameservers', async () => {
    show({ fault: 'lying-network' }, { fault: 'lying-nameserver', value: '192.0.2.1' });
    await emulated.call(
      'create',
      '--name',
      'lying',
      '--network',
      'none',
      '--dns',
      '127.0.0.1',
      'host',
      'sleep',
      '100',
    );
    const [{ configuration }] = JSON.parse((await emulated.call('inspect', 'lying')).stdout);
    expect([configuration.networks.length, configuration.dns.nameservers]).toEqual([1, ['192.0.2.1']]);
  });

  it('refuses --network none as 1.0.0 did', async () => {
    setEmulator(emulated.home, { version: '1.0.0' });
    expect((await emulated.call('create', '--name', 'refused', '--network', 'none', 'host')).status).toBe(1);
  });

  it('pulls slowly, with progress', async () => {
    show({ fault: 'slow-pull', ms: 200 });
    const { stderr } = await emulated.call('image', 'pull', 'host');
    expect(stderr).toMatch(/Fetching image 10%\n(.*\n)*.*Fetching image 100%/);
  });

  it('refuses a fault that it does not know', async () => {
    writeFileSync(homeOf(emulated.home).settingsFile, '{"faults":[{"fault":"hnag"}]}');
    expect((await emulated.call('ls')).status).toBe(70);
    writeFileSync(homeOf(emulated.home).settingsFile, '{"verison":"1.2.2"}');
    expect((await emulated.call('ls')).stderr).toContain('has no "verison"');
  });
});
