/** Guests of the apple-container backend that stay: listed, joined, read, ended, removed, and cleared up after their supervisor's death. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EMULATOR_BIN } from '../../emulators/container/emulation.ts';
import { guestOf, guestsOf, isThere } from '../background.ts';
import { follow, until } from '../lifecycle/conditions.ts';
import { APPLE_MS, type AppleWorld, CAN_EMULATE, createAppleWorld, USUAL_IMAGE } from './apple-world.ts';

const LOOP = 'while :; do sleep 0.1; done';

describe.skipIf(!CAN_EMULATE)(
  'a guest of the apple-container backend that stays',
  { timeout: APPLE_MS },
  () => {
    let world: AppleWorld;
    beforeAll(() => {
      world = createAppleWorld();
    });
    afterEach(async () => {
      world.be({});
      const names = (await guestsOf(world)).map(({ name }) => name);
      if (names.length > 0) await world.sand(['rm', '--force', ...names]);
    }, APPLE_MS);
    afterAll(() => world.end(), APPLE_MS);

    const container = (...args: readonly string[]) =>
      execFileSync(join(EMULATOR_BIN, 'container'), args, { env: { HOME: world.home }, encoding: 'utf8' });

    it('is listed, told of, read, joined from another process, waited for and ended', async () => {
      await world.detach('web', ['sh', '-c', `echo out; echo err >&2; cat /proc/uptime > /tmp/up; ${LOOP}`]);
      expect((await world.sand(['ls'])).stdout).toMatch(/\nweb +running +apple-container +\d{4}-/);
      expect((await world.sand(['inspect', 'web', '--json'])).stdout).toContain('"standing":"running"');
      const logs = follow(world.start(['logs', '-f', 'web']));
      await logs.printed('err', APPLE_MS);
      expect(await world.exec('web', 'cat; echo on >&2; exit 7', { input: 'given' })).toMatchObject({
        code: 7,
        stdout: 'given',
        stderr: 'on\n',
      });
      const waiting = follow(world.start(['wait', 'web']));
      expect(await world.sand(['stop', 'web'])).toMatchObject({ code: 0, stdout: 'web\n', stderr: '' });
      expect(await waiting.ended(APPLE_MS)).toBe(143);
      expect(await logs.ended(APPLE_MS)).toBe(0);
      expect(logs.stdout()).toBe('out\n');
      expect(await guestOf(world, 'web')).toMatchObject({ standing: 'ended', end: { cause: 'stop' } });
      await world.nothingRemains();
      expect(await world.sand(['rm', 'web'])).toMatchObject({ code: 0 });
      expect(await guestsOf(world)).toEqual([]);
    });

    it('without a command is held, and is not the shell that its usual image names', async () => {
      await world.detach('held');
      const command = follow(world.start(['exec', 'held', '--', 'sh', '-c', 'echo up; exec sleep 7171']));
      await command.printed('up', APPLE_MS);
      expect(await guestOf(world, 'held')).toMatchObject({ standing: 'running' });
      await world.sand(['stop', 'held']);
      expect(await command.ended(APPLE_MS)).not.toBe(0);
      await world.nothingRemains();
    });

    it('has the command that an image names, where the caller names that image', async () => {
      const { code, stdout } = await world.run(['--image', USUAL_IMAGE], [], { input: 'echo read' });
      expect([code, stdout]).toEqual([0, 'read\n']);
      const { code: without, stderr } = await world.run([], []);
      expect([without, stderr]).toEqual([2, expect.stringContaining('(usage)')]);
    });

    it('has a neighbour: each its own files, processes and end', async () => {
      await Promise.all([world.detach('one'), world.detach('two')]);
      await world.exec('one', 'echo first > /tmp/word; sleep 8282 >/dev/null 2>&1 &');
      const seen = await world.exec('two', 'cat /tmp/word; cat /proc/[0-9]*/cmdline | tr "\\0" " "');
      expect(seen.stdout).not.toMatch(/first|sleep 8282/);
      await world.sand(['stop', 'one']);
      expect(await world.exec('two', 'echo on')).toMatchObject({ code: 0, stdout: 'on\n' });
    });

    it('outlives a supervisor that was killed until sand prune, which then leaves nothing', async () => {
      await world.detach('web', ['sh', '-c', LOOP]);
      const { pid, run } = await guestOf(world, 'web');
      process.kill(pid, 'SIGKILL');
      await until('the end of the supervisor', () => !isThere(pid));
      expect(world.containers()).toEqual([`sand-${run}`]);
      const { code, stderr } = await world.sand(['prune']);
      expect([code, stderr]).toEqual([0, '']);
      await world.nothingRemains();
    });

    it('whose container is gone already is pruned as well', async () => {
      await world.detach('web');
      const { pid, run } = await guestOf(world, 'web');
      process.kill(pid, 'SIGKILL');
      await until('the end of the supervisor', () => !isThere(pid));
      container('delete', '--force', `sand-${run}`);
      expect(await world.sand(['prune'])).toMatchObject({ code: 0, stderr: '' });
      await world.nothingRemains();
    });

    it('is not taken for a container of its name that somebody else has made', async () => {
      await world.detach('web');
      const { pid, run } = await guestOf(world, 'web');
      process.kill(pid, 'SIGKILL');
      await until('the end of the supervisor', () => !isThere(pid));
      const name = `sand-${run}`;
      container('delete', '--force', name);
      container('create', '--name', name, '--network', 'none', '--', USUAL_IMAGE, 'true');
      const { code, stdout, stderr } = await world.sand(['prune']);
      expect(world.containers()).toEqual([name]);
      expect(code).not.toBe(0);
      expect(stdout + stderr).toContain(`the container ${name} is not of this run`);
      container('delete', name);
      expect(await world.sand(['prune'])).toMatchObject({ code: 0 });
      expect(existsSync(join(world.root, 'state/sand/runs', run, 'guest'))).toBe(false);
    });

    it('is ended where its container vanishes, and says so', async () => {
      await world.detach('web', ['sh', '-c', LOOP]);
      const { run } = await guestOf(world, 'web');
      container('delete', '--force', `sand-${run}`);
      expect(await follow(world.start(['wait', 'web'])).ended(APPLE_MS)).toBe(125);
      await world.nothingRemains();
      expect(readdirSync(join(world.root, 'state/sand/runs', run))).not.toContain('guest');
    });
  },
);
