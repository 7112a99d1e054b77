import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually, resultOf, WITHOUT_GUESTS } from './container-call.ts';
import { endTart, NOT_ON_MAC, setTart } from './tart/emulation.ts';
import type { Settings } from './tart/settings.ts';
import { createTart, type EmulatedTart, isThere } from './tart-call.ts';

describe.skipIf(WITHOUT_GUESTS)('faults of emulated macOS guests (needs root on Linux)', () => {
  let tart: EmulatedTart;
  beforeAll(() => {
    tart = createTart();
  });
  afterEach(() => endTart(tart.home));
  afterAll(() => tart.end());

  const show = (...faults: Settings['faults']) => setTart(tart.home, { faults });

  it('refuse a start: the keychain, the limit', async () => {
    tart.make('refused', { os: 'darwin' });
    const start = () => tart.start('refused', ['--net-softnet']).ended;
    show({ fault: 'keychain-locked' });
    const locked = await start();
    expect(locked).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('Interaction is not allowed with the Security Server'),
    });
    show({ fault: 'limit' });
    expect((await start()).stderr).toMatch(/^The number of VMs exceeds the system limit/);
    expect(readdirSync(join(tart.home, '.tart/processes'))).toEqual([]);
  });

  it('end a run by softnet, with either status, by the guest, or by an error that only stdout tells of', async () => {
    const statuses: [Settings['faults'], number, RegExp][] = [
      [[{ fault: 'softnet-dies', ms: 100 }], 1, /Softnet/],
      [[{ fault: 'softnet-dies', ms: 100 }, { fault: 'softnet-death-unseen' }], 0, /^$/],
      [[{ fault: 'power-off', ms: 100 }], 0, /^$/],
      [[{ fault: 'vm-error', ms: 100 }], 0, /stopped the virtual machine due to error/],
    ];
    tart.make('ending', { os: 'darwin', hasAgent: false });
    for (const [faults, status, text] of statuses) {
      show(...faults);
      // The socket of the run before is in the way of the agent, and of nothing else.
      const { stdout, stderr, status: got } = await tart.start('ending', ['--net-softnet']).ended;
      expect([faults, got]).toEqual([faults, status]);
      expect((stdout + stderr).replace(/^Failed to start the control socket.*\n/m, '')).toMatch(text);
    }
  });

  it('have an agent that comes late, never, or is gone', async () => {
    tart.make('mute', { os: 'darwin' });
    setTart(tart.home, { execPatienceMs: 100, faults: [{ fault: 'no-agent' }] });
    tart.start('mute', ['--net-softnet']);
    await eventually('it runs', async () =>
      (await tart.call('get', 'mute', '--format', 'json')).stdout.includes('"running"'),
    );
    const unreached = await tart.call('exec', 'mute', 'true');
    expect(unreached).toMatchObject({ status: 1, stderr: expect.stringContaining('GRPC') });
    await endTart(tart.home);
    tart.make('late', { os: 'darwin' });
    setTart(tart.home, {
      agentDelayMs: 1500,
      execPatienceMs: 100,
      faults: [{ fault: 'agent-vanishes', ms: 4000 }],
    });
    const began = Date.now();
    await tart.boot('late');
    expect(Date.now() - began).toBeGreaterThan(1500);
    await eventually('it is gone', async () => (await tart.call('exec', 'late', 'true')).status === 1);
  });

  it('cut the stream of a command without its status: 0, as in the tool', async () => {
    tart.make('cut', { os: 'darwin' });
    show({ fault: 'cut-stream', ms: 300 });
    await tart.boot('cut');
    const cut = await tart.call('exec', 'cut', '/bin/sh', '-c', 'echo begun; sleep 30; exit 9');
    expect(cut).toMatchObject({ status: 0, stdout: 'begun\n' });
  });

  it('let a command hang, which is ended with everything else', async () => {
    tart.make('hanging', { os: 'darwin', without: NOT_ON_MAC });
    show({ fault: 'hang', command: 'exec', skip: 40 });
    await tart.boot('hanging');
    const lacking = await tart.call('exec', 'hanging', '/bin/sh', '-c', 'timeout 1 true; setsid true');
    expect(lacking.status).toBe(127);
    show({ fault: 'hang', command: 'exec' });
    const hanging = resultOf(tart.begin('exec', 'hanging', 'true'));
    await eventually('the call hangs', () => readdirSync(join(tart.home, '.tart/processes')).length > 4);
    const { pid } = tart.told();
    await endTart(tart.home);
    expect((await hanging).status).toBe(null);
    expect(isThere(pid)).toBe(false);
    expect(readdirSync(join(tart.home, '.tart/processes'))).toEqual([]);
  });
});
