/** How a command in a guest of the apple-container backend ends, and what is told of it: exit codes, signals, time limits. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { follow } from '../lifecycle/conditions.ts';
import { APPLE_MS, type AppleWorld, CAN_EMULATE, createAppleWorld } from './apple-world.ts';

const LOOP = 'while :; do sleep 0.1; done';

describe.skipIf(!CAN_EMULATE)(
  'a command in a guest of the apple-container backend',
  { timeout: APPLE_MS },
  () => {
    let world: AppleWorld;
    beforeAll(async () => {
      world = createAppleWorld();
      await world.detach('held');
    }, APPLE_MS);
    afterAll(() => world.end(), APPLE_MS);

    // 1, 64, 125 and 255 are codes of the tool's own as well, 137 is that of a guest that was stopped.
    it.each([0, 1, 2, 64, 125, 126, 127, 137, 255])('ends with %i where it says so', async (code) => {
      expect(await world.exec('held', `exit ${code}`)).toMatchObject({ code, stdout: '', stderr: '' });
    });

    it.each([
      ['KILL', 137],
      ['SEGV', 139],
      ['TERM', 143],
    ])('ends with 128 and the number of SIG%s, which ends it', async (name, code) => {
      expect(await world.exec('held', `kill -${name} $$`)).toMatchObject({ code });
    });

    it('that is not there ends with 127, one that cannot be run with 126, and both say which', async () => {
      const missing = await world.sand(['exec', 'held', '--', 'no-such-program']);
      expect(missing).toMatchObject({ code: 127, stdout: '' });
      expect(missing.stderr).toContain('no-such-program');
      expect(missing.stderr.trim().split('\n')).toHaveLength(1);
      const forbidden = await world.sand(['exec', 'held', '--', '/etc/passwd']);
      expect(forbidden).toMatchObject({ code: 126, stdout: '' });
      expect(forbidden.stderr).toContain('/etc/passwd');
    });

    it('with a working directory that is not there ends with 126, and says so', async () => {
      const { code, stderr } = await world.sand(['exec', '--workdir', '/no/such', 'held', '--', 'true']);
      expect([code, stderr]).toEqual([126, expect.stringContaining('/no/such')]);
    });

    it('has its own variables and working directory', async () => {
      const flags = ['--env', 'WORD=said', '--workdir', '/tmp'];
      const { stdout } = await world.sand(['exec', ...flags, 'held', '--', 'sh', '-c', 'echo $WORD; pwd']);
      expect(stdout).toBe('said\n/tmp\n');
    });

    it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('gets %s of its caller, once', async (signal) => {
      const name = signal.slice(3);
      const trapping = follow(
        world.start(['exec', 'held', '--', 'sh', '-c', `trap 'echo got; exit 42' ${name}; echo up; ${LOOP}`]),
      );
      await trapping.printed('up', APPLE_MS);
      trapping.child.kill(signal);
      expect(await trapping.ended(APPLE_MS)).toBe(42);
      expect(trapping.stdout()).toBe('up\ngot\n');
    });

    it('goes on where it takes no notice of a signal, and is ended by the third', async () => {
      const stubborn = follow(
        world.startRun(
          [],
          ['sh', '-c', `trap 'echo ignored' INT; trap 'echo so too' TERM; echo up; ${LOOP}`],
        ),
      );
      await stubborn.printed('up', APPLE_MS);
      stubborn.child.kill('SIGINT');
      await stubborn.printed('ignored', APPLE_MS);
      stubborn.child.kill('SIGTERM');
      await stubborn.printed('so too', APPLE_MS);
      stubborn.child.kill('SIGINT');
      expect(await stubborn.ended(APPLE_MS)).toBe(137);
    });

    it('is ended at its time limit, with all that it started, and nothing of its guest is left', async () => {
      const { code, stderr } = await world.run(
        ['--timeout', '3s'],
        ['sh', '-c', `(trap '' TERM HUP; exec sleep 7373) & ${LOOP}`],
      );
      expect([code, stderr]).toEqual([
        124,
        expect.stringContaining('sand: the command was ended by --timeout\n'),
      ]);
      expect(stderr).not.toContain('do:');
    });

    it('has an exit code that is in the log of the run, and so has the run', async () => {
      expect(await world.run([], ['sh', '-c', 'exit 64'])).toMatchObject({ code: 64, stderr: '' });
      const events = await world.events();
      expect(events.at(-1)).toMatchObject({ kind: 'run-end', exitCode: 64, cause: 'exit' });
      const probes = events.filter(({ kind }) => kind === 'probe');
      expect(probes.length).toBeGreaterThan(8);
      expect(probes.filter((probe) => 'passed' in probe && !probe.passed)).toEqual([]);
    });
  },
);
