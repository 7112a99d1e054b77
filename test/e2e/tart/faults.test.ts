/** Each step of a guest's start and end on the tart backend is made to fail in turn: what is told, and that nothing is left. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Fault } from '../../emulators/tart/settings.ts';
import { CAN_EMULATE, createTartWorld, TART, type TartWorld, USUAL_IMAGE } from './tart-world.ts';

const RUN_MS = 120_000;
const MESSAGE = 'planted failure';

describe.skipIf(!CAN_EMULATE)('a step of a run on the tart backend fails', { timeout: RUN_MS * 2 }, () => {
  let world: TartWorld;
  beforeAll(async () => {
    world = createTartWorld();
    world.machine('base', { os: 'darwin' });
    world.machine('vanilla', { os: 'darwin', hasAgent: false });
  });
  beforeEach(() => world.be({}));
  afterAll(() => world.end());

  const run = (...flags: readonly string[]) =>
    world.sand(['run', ...TART, '--policy', 'offline', '--image', 'base', ...flags, '--', 'echo', 'ran'], {
      deadlineMs: RUN_MS,
    });
  const show = (fault: Fault) => world.be({ faults: [fault] });
  const machines = () => readdirSync(join(world.environment.HOME ?? '', '.tart/vms')).sort();
  const nothingRemains = () => expect(machines()).toEqual(['base', 'vanilla']);

  // Of `get` the first looks for the image, and of `exec` the first asks whether the agent is there.
  it.each<{ readonly step: string; readonly fault: Omit<Fault, 'fault'> }>([
    { step: 'list', fault: { command: 'list' } },
    { step: 'clone', fault: { command: 'clone' } },
    { step: 'set', fault: { command: 'set' } },
    { step: 'look at the clone', fault: { command: 'get', skip: 1 } },
    { step: 'run', fault: { command: 'run' } },
    { step: 'set-up', fault: { command: 'exec', skip: 1 } },
    { step: 'start probes', fault: { command: 'exec', skip: 2 } },
  ])('$step: the command does not run, and nothing is left', async ({ step, fault }) => {
    show({ fault: 'fail', message: MESSAGE, times: 1, ...fault });
    const { code, stdout, stderr } = await run();
    expect([code, stdout]).toEqual([step === 'start probes' ? 122 : 125, '']);
    expect(stderr).toMatch(/ {2}do: /);
    if (step !== 'start probes') expect(stderr).toContain(MESSAGE);
    nothingRemains();
  });

  it('delete, once: it is done again', async () => {
    show({ fault: 'fail', command: 'delete', message: MESSAGE, times: 1 });
    expect(await run()).toMatchObject({ code: 0, stdout: 'ran\n' });
    nothingRemains();
  });

  it('stop: the guest is gone all the same', async () => {
    show({ fault: 'fail', command: 'stop', message: MESSAGE, times: 1 });
    expect(await run()).toMatchObject({ stdout: 'ran\n' });
    nothingRemains();
  });

  it.each([
    ['keychain-locked', 125, 'login keychain is locked'],
    ['limit', 125, 'two guests of macOS run at a time'],
    ['softnet-dies', 125, '(guest-failed)'],
    ['softnet-death-unseen', 0, ''],
  ] as const)('%s: it is told', async (fault, code, said) => {
    show({ fault });
    const ran = await run();
    expect(ran.code, ran.stderr).toBe(code);
    expect(ran.stderr).toContain(said);
    nothingRemains();
  });

  it.each([
    ['power-off', 'machine ended'],
    ['vm-error', 'The virtual machine stopped unexpectedly'],
  ] as const)('%s while the command runs: tart ends well, and the run does not', async (fault, said) => {
    show({ fault, ms: 15_000 });
    const { code, stderr } = await world.sand(
      ['run', ...TART, '--policy', 'offline', '--image', 'base', '--', 'sleep', '600'],
      { deadlineMs: RUN_MS },
    );
    expect(code, stderr).toBe(125);
    expect(stderr).toContain(said);
    expect(stderr).toContain('(guest-failed)');
    const runs = join(world.environment.XDG_STATE_HOME ?? '', 'sand/runs');
    const last = readdirSync(runs).sort().at(-1) ?? '';
    expect(readdirSync(join(runs, last))).toContain('tart.log');
    nothingRemains();
  });

  it('no list that reads: nothing is cloned', async () => {
    show({ fault: 'broken-json', command: 'list' });
    expect(await run()).toMatchObject({ code: 125, stderr: expect.stringContaining('does not read') });
    nothingRemains();
  });

  it('a guest that the tool says does not run gets no command', async () => {
    show({ fault: 'lying-get', value: { Running: false, State: 'stopped' } });
    expect(await run()).toMatchObject({ code: 125, stdout: '' });
    nothingRemains();
  });

  it('an image that is nowhere, and names that are none', async () => {
    const missing = await run('--image', 'no-such-machine');
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('(image-missing)') });
    expect(await run('--image', '--linux')).toMatchObject({ code: 2 });
    expect(await run('--image', 'https://example.com/a.ipsw')).toMatchObject({ code: 2 });
  });

  it('what this backend has not is refused by name', async () => {
    for (const [flags, said] of [
      [['--link', 'bridge'], 'write one of: ethernet, softnet, nat'],
      [['--isolation', 'gvisor'], 'gVisor'],
      [['--user', '0'], 'sudo'],
      [['--share', 'ssh-agent'], 'ssh-agent'],
      [['--pids', '100'], '--pids'],
    ] as const) {
      const { code, stderr } = await run(...flags);
      expect([2, 125], stderr).toContain(code);
      expect(stderr).toContain(said);
    }
    nothingRemains();
  });

  it('an older tart is refused', async () => {
    world.be({ version: '2.33.0' });
    expect(await run()).toMatchObject({ code: 125, stderr: expect.stringContaining('openai/tools/tart') });
  });

  it('the usual image is pulled', async () => {
    const { code, stderr } = await world.sand(['run', ...TART, '--policy', 'offline', '--', 'true'], {
      deadlineMs: RUN_MS,
    });
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('100%');
    expect((await world.events())[0]).toMatchObject({ image: { name: USUAL_IMAGE } });
  });
});
