/** A command on a terminal: job control, keyboard signals, size and settings. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CALLERS, createWorld, type World } from '../sand.ts';
import { until } from './conditions.ts';
import { descendants, processes } from './remains.ts';
import { NO_TERMINAL, openTerminal } from './terminal-bridge.ts';

const CTRL = { C: '\x03', D: '\x04', Z: '\x1a', BACKSLASH: '\x1c' } as const;

describe.skipIf(NO_TERMINAL !== null).each(CALLERS)('a command of the %s on a terminal', (who) => {
  let world: World;
  beforeAll(() => {
    world = createWorld(who);
  });
  afterAll(() => world.remove());

  const sand = () => world.start([]).spawnargs;
  const open = (command: readonly string[]) =>
    openTerminal(command, { cwd: world.workspace, environment: world.environment });
  const run = (...command: readonly string[]) =>
    open([...sand(), 'run', '--policy', 'strict', '--', ...command]);
  const inGuest = (pid: number, commandLine: string) =>
    until(commandLine, () => descendants(pid).find((other) => other.commandLine === commandLine)?.pid);

  it('sees a terminal, its size, and every new size', async () => {
    const terminal = run(
      'sh',
      '-c',
      'test -t 0 && test -t 1 && stty size; trap "stty size; exit 5" WINCH; echo up; while :; do sleep 0.05; done',
    );
    await terminal.shows('24 80');
    await terminal.shows('up');
    terminal.resize();
    await terminal.shows('33 77');
    expect(await terminal.finished()).toEqual({ code: 5, restored: true });
  });

  it.each([
    ['Ctrl-C', CTRL.C, 'INT'],
    ['Ctrl-\\', CTRL.BACKSLASH, 'QUIT'],
  ])('catches %s by itself, and goes on', async (_, key, signal) => {
    const terminal = run(
      'sh',
      '-c',
      `trap 'echo caught; exit 42' ${signal}; echo up; while :; do sleep 0.05; done`,
    );
    await terminal.shows('up');
    terminal.type(key);
    await terminal.shows('caught');
    expect(await terminal.finished()).toEqual({ code: 42, restored: true });
  });

  it('dies of Ctrl-C where it does nothing about it', async () => {
    const terminal = run('sh', '-c', 'echo up; exec sleep 60');
    await terminal.shows('up');
    terminal.type(CTRL.C);
    expect(await terminal.finished()).toMatchObject({ code: 130 });
  });

  it('that is a shell has jobs: Ctrl-C and Ctrl-Z meet its foreground program, fg brings it back', async () => {
    const terminal = run('sh');
    await terminal.shows('$ ');
    terminal.type('sleep 71\n');
    await inGuest(terminal.pid, 'sleep 71');
    terminal.type(CTRL.C);
    await terminal.shows('$ ');
    terminal.type('echo "status=$?"\n');
    await terminal.shows('status=130');
    terminal.type('sleep 72\n');
    const sleeper = await inGuest(terminal.pid, 'sleep 72');
    terminal.type(CTRL.Z);
    await until('the stop', () => processes().find(({ pid }) => pid === sleeper)?.state === 'T');
    await terminal.shows('$ ');
    terminal.type('fg\n');
    await until('its life', () => processes().find(({ pid }) => pid === sleeper)?.state === 'S');
    terminal.type(CTRL.C);
    await terminal.shows('$ ');
    terminal.type(CTRL.D);
    await terminal.finished();
  });

  it('is stopped with sand by Ctrl-Z and goes on with fg of the caller\u2019s shell', async () => {
    const terminal = open(['bash', '--norc', '--noprofile', '-i']);
    await terminal.shows('$ ');
    terminal.type(
      `${sand().join(' ')} run --policy strict -- sh -c 'echo u""p; read x; echo "read=$x"; exit 6'\n`,
    );
    await terminal.shows('up');
    terminal.type(CTRL.Z);
    await terminal.shows('Stopped');
    terminal.type('echo ba""ck\n');
    await terminal.shows('back');
    terminal.type('fg\n');
    await until('sand in the foreground', () =>
      descendants(terminal.pid).some(
        ({ commandLine, state }) => commandLine.includes('sand.js') && state !== 'T',
      ),
    );
    terminal.type('word\n');
    await terminal.shows('read=word');
    terminal.type('echo "status=$?"; exit\n');
    await terminal.shows('status=6');
    await terminal.finished();
  });

  it('that is ended with the terminal in raw mode leaves it as it was', async () => {
    const terminal = open([
      ...sand(),
      'run',
      '--policy',
      'strict',
      '--timeout',
      '1s',
      '--',
      'sh',
      '-c',
      'stty raw -echo; echo up; exec sleep 60',
    ]);
    await terminal.shows('up');
    expect(await terminal.finished()).toEqual({ code: 124, restored: true });
  });

  it('ends with Ctrl-C also before it has started', async () => {
    const terminal = open([...sand(), 'run', '--policy', 'strict', '--verbose', '--', 'sleep', '60']);
    await terminal.shows('planted');
    terminal.type(CTRL.C);
    expect(await terminal.finished()).toMatchObject({ code: 130 });
  });
});
