/** Each step of a guest's start and end on the apple-container backend is made to fail in turn: what is told, and that nothing is left. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { follow } from '../lifecycle/conditions.ts';
import { APPLE_MS, type AppleWorld, CAN_EMULATE, createAppleWorld, USUAL_IMAGE } from './apple-world.ts';

const MESSAGE = 'planted failure';

describe.skipIf(!CAN_EMULATE)(
  'a step of a run on the apple-container backend fails',
  { timeout: APPLE_MS },
  () => {
    let world: AppleWorld;
    beforeAll(async () => {
      world = createAppleWorld();
      await world.sand(['image', 'pull', USUAL_IMAGE]);
    }, APPLE_MS);
    beforeEach(() => world.be({}));
    afterAll(() => world.end(), APPLE_MS);

    // Of `exec` the relay's `ready` is the first, then come the probes, the command, how it ended, and what was tried.
    it.each([
      { step: 'create', fault: { command: 'create' } },
      { step: 'inspect before the start', fault: { command: 'inspect' } },
      { step: 'start', fault: { command: 'start' } },
      { step: 'inspect after the start', fault: { command: 'inspect', skip: 1 } },
      { step: 'ready', fault: { command: 'exec' } },
      { step: 'start probes', fault: { command: 'exec', skip: 1 } },
      { step: 'the command', fault: { command: 'exec', skip: 2 } },
    ])('$step: the command does not run, and nothing is left', async ({ fault }) => {
      world.show({ fault: 'fail', message: MESSAGE, times: 1, ...fault });
      const { code, stdout, stderr } = await world.run([], ['echo', 'ran']);
      expect([code, stdout]).toEqual([125, '']);
      expect(stderr).toMatch(/ {2}do: /);
      expect(stderr).toContain(MESSAGE);
      await world.nothingRemains();
    });

    it('what the guest tried cannot be asked: the run is as it was', async () => {
      world.show({ fault: 'fail', command: 'exec', skip: 4 });
      expect(await world.run([], ['echo', 'ran'])).toMatchObject({ code: 0, stdout: 'ran\n' });
      await world.nothingRemains();
    });

    it('how the command ended cannot be asked: its success is not believed', async () => {
      world.show({ fault: 'fail', command: 'exec', skip: 3 });
      const { code, stderr } = await world.run([], ['echo', 'ran']);
      expect(code).toBe(125);
      expect(stderr).toContain('the command did not run to its end');
      await world.nothingRemains();
    });

    it('delete, once: it is done again', async () => {
      world.show({ fault: 'fail', command: 'delete', message: MESSAGE, times: 1 });
      const { code, stdout } = await world.run([], ['echo', 'ran']);
      expect([code, stdout]).toEqual([0, 'ran\n']);
      await world.nothingRemains();
    });

    it('delete, for good: that is told, and sand prune does it later', async () => {
      world.show({ fault: 'fail', command: 'delete', message: MESSAGE });
      const { stdout, stderr } = await world.run([], ['echo', 'ran']);
      expect(stdout).toBe('ran\n');
      expect(stderr).toContain('(teardown-failed)');
      expect(stderr).toContain(MESSAGE);
      expect(world.containers()).toHaveLength(1);
      world.be({});
      await world.sand(['prune']);
      await world.nothingRemains();
    });

    it('stop of a guest that has a grace: it is deleted all the same', async () => {
      await world.detach('web');
      world.show({ fault: 'fail', command: 'stop', message: MESSAGE });
      expect(await world.sand(['stop', 'web'])).toMatchObject({ code: 0 });
      await world.nothingRemains();
    });

    it('a signal during the start ends it, with nothing left', async () => {
      world.show({ fault: 'delay', command: 'start', ms: 3_000 });
      const child = world.startRun([], ['echo', 'ran']);
      const ended = follow(child);
      const made = setInterval(() => {
        if (world.containers().length === 0) return;
        clearInterval(made);
        child.kill('SIGTERM');
      }, 20);
      expect(await ended.ended(APPLE_MS)).toBe(143);
      world.be({});
      await world.nothingRemains();
    });
  },
);
