/** A terminal in a guest of the tart backend: given where input and output are one, with its size, its keys and its jobs. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NO_TERMINAL, openTerminal, type Terminal } from '../lifecycle/terminal-bridge.ts';
import { DYING, testSizeAndKeys } from '../lifecycle/terminal-cases.ts';
import { CAN_EMULATE, createTartWorld, TART, TART_MS, type TartWorld } from './tart-world.ts';

const CTRL_C = '\x03';
const CTRL_D = '\x04';
const CTRL_Z = '\x1a';

describe.skipIf(!CAN_EMULATE || NO_TERMINAL !== null)(
  'a terminal in a guest of the tart backend',
  { timeout: TART_MS },
  () => {
    let world: TartWorld;
    beforeAll(async () => {
      world = createTartWorld();
      await world.detach('held');
    }, TART_MS);
    afterAll(() => world.end(), TART_MS);

    const openBy = (through: readonly string[], ...args: readonly string[]): Terminal =>
      openTerminal([...through, ...world.start([]).spawnargs, ...args], {
        cwd: world.workspace,
        environment: world.environment,
      });
    const open = (...command: readonly string[]) => openBy([], 'exec', 'held', '--', ...command);
    const leftOf = async (word: string) =>
      (await world.exec('held', `pgrep -c -f '[${word[0]}]${word.slice(1)}'`)).stdout;

    testSizeAndKeys(open);

    it('leaves nothing of a command that died of a key', async () => {
      expect(await leftOf(DYING)).toBe('0\n');
    });

    it('is a shell\u2019s, with jobs that stop, go on and end', async () => {
      const terminal = openBy([], 'shell', 'held');
      // What is typed is shown as well, so that what is awaited is put together by the shell.
      terminal.type('PS1="at""once> "\n');
      await terminal.shows('atonce> ');
      terminal.type(`sh -c 'trap "echo on""ward" CONT; echo be""gun; while :; do sleep 0.1; done'\n`);
      await terminal.shows('begun');
      terminal.type(CTRL_Z);
      await terminal.shows('Stopped');
      await terminal.shows('atonce> ');
      terminal.type('fg\n');
      await terminal.shows('onward');
      terminal.type(CTRL_C);
      await terminal.shows('atonce> ');
      terminal.type('sleep 63 & jobs -r; kill %1; wait %1; echo "ended=$?"\n');
      await terminal.shows('ended=143');
      await terminal.shows('atonce> ');
      terminal.type('(exit 3)\n');
      await terminal.shows('atonce> ');
      terminal.type(CTRL_D);
      expect(await terminal.finished()).toEqual({ code: 3, restored: true });
    });

    it.each([
      ['output', 'sh -c \'"$@" | cat\' sh'],
      ['input', 'sh -c \'echo typed | "$@"\' sh'],
    ])('is none where the %s is a pipe: with half a terminal Tart crashes', async (what, through) => {
      const terminal = openBy(
        ['sh', '-c', `${through} "$@"`, 'sh'],
        ...['exec', 'held', '--', 'sh', '-c', 'test -t 0 || test -t 1 || echo none; head -c 5; exit 4'],
      );
      await terminal.shows('none');
      if (what === 'input') await terminal.shows('typed');
      else terminal.type('typed\n');
      expect((await terminal.finished()).restored).toBe(true);
    });

    it('goes, and the command with it', async () => {
      const terminal = open('sh', '-c', 'echo up; exec sleep 64');
      await terminal.shows('up');
      terminal.child.kill('SIGKILL');
      await expect.poll(() => leftOf('sleep 64'), { timeout: 30_000 }).toBe('0\n');
    });

    it('is the command\u2019s of sand run as well, whose status it ends with', async () => {
      const terminal = openBy(
        [],
        'run',
        ...TART,
        '--policy',
        'offline',
        '--',
        'sh',
        '-c',
        'stty size; read -r line; echo "got $line"; exit 6',
      );
      await terminal.shows('24 80');
      terminal.type('words\n');
      await terminal.shows('got words');
      expect(await terminal.finished()).toEqual({ code: 6, restored: true });
    });
  },
);
