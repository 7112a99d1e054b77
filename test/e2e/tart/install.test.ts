/** `sand image create macos`, and the pull of an image: what is told while they take their time, and what is left where they do not come to their end. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { follow } from '../lifecycle/conditions.ts';
import { NO_TERMINAL, openTerminal } from '../lifecycle/terminal-bridge.ts';
import { CAN_EMULATE, createTartWorld, TART, TART_MS, type TartWorld } from './tart-world.ts';

const MACHINE = 'sand-macos';
/** Never reached: it is interrupted long before. */
const SLOW_MS = 120_000;
const CTRL_C = '\x03';

describe.skipIf(!CAN_EMULATE)('the installation of macOS', { timeout: TART_MS }, () => {
  let world: TartWorld;
  beforeEach(() => {
    world = createTartWorld();
  });
  afterEach(() => world.end());

  const create = (...flags: readonly string[]) => world.sand(['image', 'create', 'macos', ...flags]);
  const unfinished = () => {
    try {
      return readdirSync(join(world.home, '.tart/tmp'));
    } catch {
      return [];
    }
  };

  it('tells how long it takes, how far it is, and what is next; a guest can be cloned of it', async () => {
    const { code, stdout, stderr } = await create();
    expect(code, stderr).toBe(0);
    expect(stdout).toBe(`macOS in the machine ${MACHINE} (80 GB)\n`);
    expect(stderr).toMatch(
      /20 minutes to an hour[\s\S]*50%[\s\S]*100%[\s\S]*installed in 1 minute\n[\s\S]*tart run sand-macos/,
    );
    expect(world.machines()).toEqual([MACHINE]);
    // Its owner has put the agent in.
    world.machine(MACHINE, { os: 'darwin' });
    const ran = await world.sand([
      'run',
      ...TART,
      '--policy',
      'offline',
      '--image',
      MACHINE,
      '--',
      'echo',
      'ran',
    ]);
    expect(ran).toMatchObject({ code: 0, stdout: 'ran\n' });
  });

  it('says the same to a program', async () => {
    const { stdout } = await create('--json');
    expect(JSON.parse(stdout)).toEqual({ kind: 'macos', machine: MACHINE, diskGB: 80 });
  });

  it('is made from a file, named from wherever the caller is', async () => {
    world.file('images/restore.ipsw', 'image');
    const { code, stderr } = await create('--from', 'images/restore.ipsw');
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`Fetching ${world.workspace}/images/restore.ipsw`);
  });

  it.each(['none.ipsw', 'https://example.com/a.ipsw', '', '.'])('is not tried from %j', async (source) => {
    const { code, stderr } = await create('--from', source);
    expect(code).toBe(2);
    expect(stderr).toContain('the path of a restore image');
    expect(world.machines()).toEqual([]);
  });

  it('leaves a machine of that name alone', async () => {
    world.machine(MACHINE, { os: 'darwin', diskGB: 33 });
    const { code, stderr } = await create();
    expect(code).toBe(2);
    expect(stderr).toContain(`(guest-exists)\n  do: look at it, and remove it: tart delete ${MACHINE}`);
    expect(stderr).not.toContain('Installing');
  });

  it('that finds the disk full says what to do, and leaves nothing', async () => {
    world.be({ faults: [{ fault: 'no-space' }] });
    const { code, stderr } = await create();
    expect(code).toBe(125);
    expect(stderr).toMatch(/is out of space; no machine is left[\s\S]*\(image-failed\)\n {2}do: make room/);
    expect([world.machines(), unfinished()]).toEqual([[], []]);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'that gets %s ends the tool, and says that nothing is left',
    async (signal) => {
      world.be({ faults: [{ fault: 'slow-install', ms: SLOW_MS }] });
      const running = follow(world.start(['image', 'create', 'macos']));
      await running.printed('5%');
      running.child.kill(signal);
      expect(await running.ended()).toBe({ SIGTERM: 143, SIGINT: 130, SIGHUP: 129 }[signal]);
      expect(running.stderr()).toContain(`interrupted (${signal}): no machine is left`);
      expect([world.machines(), unfinished()]).toEqual([[], []]);
    },
  );

  it.skipIf(NO_TERMINAL !== null)('is ended by ^C', async () => {
    world.be({ faults: [{ fault: 'slow-install', ms: SLOW_MS }] });
    const { cwd, environment } = { cwd: world.workspace, environment: world.environment };
    const terminal = openTerminal([...world.start([]).spawnargs, 'image', 'create', 'macos'], {
      cwd,
      environment,
    });
    await terminal.shows('5%');
    terminal.type(CTRL_C);
    await terminal.shows('no machine is left');
    expect((await terminal.finished()).code).toBe(130);
    expect([world.machines(), unfinished()]).toEqual([[], []]);
  });
});

describe.skipIf(!CAN_EMULATE)('the pull of an image', { timeout: TART_MS }, () => {
  let world: TartWorld;
  beforeEach(() => {
    world = createTartWorld();
  });
  afterEach(() => world.end());

  it('that is interrupted is ended, and no guest is begun', async () => {
    world.be({ faults: [{ fault: 'slow-pull', ms: SLOW_MS }] });
    const running = follow(world.start(['run', ...TART, '--policy', 'offline', '--', 'true']));
    await running.printed('10%');
    running.child.kill('SIGINT');
    expect(await running.ended()).toBe(130);
    expect(running.stderr()).not.toContain('20%');
    expect(world.machines()).toEqual([]);
  });

  it('that fails says why', async () => {
    world.be({ faults: [{ fault: 'fail', command: 'pull', message: 'Error: No space left on device' }] });
    const { code, stderr } = await world.sand(['run', ...TART, '--policy', 'offline', '--', 'true']);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /could not be pulled: No space left on device \(image-missing\)\n {2}do: make room/,
    );
  });
});
