/** Standard streams of commands in a guest of the apple-container backend: pipes byte for byte, terminals, and streams that are left open. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NO_TERMINAL, openTerminal, type Terminal } from '../lifecycle/terminal-bridge.ts';
import { testSizeAndKeys } from '../lifecycle/terminal-cases.ts';
import { APPLE_MS, type AppleWorld, CAN_EMULATE, createAppleWorld } from './apple-world.ts';

const MIB = 1024 * 1024;
/** The tool gives up on a stream that is held open after three seconds. */
const TOOL_WAITS_MS = 3_000;

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe.skipIf(!CAN_EMULATE)(
  'streams of a command on the apple-container backend',
  { timeout: APPLE_MS },
  () => {
    let world: AppleWorld;
    beforeAll(async () => {
      world = createAppleWorld();
      await world.detach('held');
    }, APPLE_MS);
    afterAll(() => world.end(), APPLE_MS);

    const started = (script: string) => world.start(['exec', 'held', '--', 'sh', '-c', script]);

    it('carry megabytes both ways byte for byte', async () => {
      const sent = randomBytes(8 * MIB);
      const child = started('cat; echo end >&2');
      const chunks: Buffer[] = [];
      child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
      child.stdin?.end(sent);
      const code = await new Promise((resolve) => child.on('close', resolve));
      const got = Buffer.concat(chunks);
      expect([code, got.length, digest(got)]).toEqual([0, sent.length, digest(sent)]);
    });

    it('are two: what is an error does not come out as output', async () => {
      expect(await world.exec('held', 'echo out; echo err >&2')).toMatchObject({
        code: 0,
        stdout: 'out\n',
        stderr: 'err\n',
      });
    });

    it('end where the caller ends them, at once for one that gives none', async () => {
      expect(await world.exec('held', 'cat; echo "cat=$?"')).toMatchObject({ code: 0, stdout: 'cat=0\n' });
    });

    it('that a background process holds open cost the tool its own status, and not the command its', async () => {
      const from = performance.now();
      const { code, stdout } = await world.exec('held', 'sleep 30 & echo out; exit 0');
      expect([code, stdout]).toEqual([0, 'out\n']);
      expect(performance.now() - from).toBeGreaterThan(TOOL_WAITS_MS);
      expect(await world.exec('held', 'sleep 30 & exit 5')).toMatchObject({ code: 5 });
    });

    it('a caller\u2019s own descriptor blocks after the run as it did before', async () => {
      // A program that reads on after sand gets EAGAIN where its input was left non-blocking.
      const script = `"$@" exec held -- true; python3 -c 'import os, fcntl; print("flags", fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK)'`;
      const [file = '', ...rest] = world.start([]).spawnargs;
      const output = await world.sand(['exec', 'held', '--', 'true'], {
        through: ['sh', '-c', script, 'sh', file, ...rest.slice(0, 1)],
      });
      expect(output.stdout).toContain('flags 0');
    });

    describe.skipIf(NO_TERMINAL !== null)('a terminal', () => {
      const open = (...command: readonly string[]): Terminal =>
        openTerminal([...world.start([]).spawnargs, 'exec', 'held', '--', ...command], {
          cwd: world.workspace,
          environment: world.environment,
        });

      testSizeAndKeys(open);

      it('is a shell\u2019s, line by line', async () => {
        const terminal = open('sh');
        await terminal.shows('# ').catch(() => terminal.shows('$ '));
        terminal.type('echo "sum=$((40 + 2))"\n');
        await terminal.shows('sum=42');
        terminal.type('exit 3\n');
        expect(await terminal.finished()).toEqual({ code: 3, restored: true });
      });
    });
  },
);
