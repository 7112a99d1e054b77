import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type BriefAnswer, runBriefly } from '../../../controller/process/brief-tool.ts';
import { processSight, psSight } from '../../../controller/process/identity.ts';

/** As ps(1) of macOS prints them: columns are padded, and headers left out. */
const answer =
  (stdout: string, exitCode: number | null = 0) =>
  (): BriefAnswer => ({ exitCode, stdout });
const there = () => true;

describe('on macOS', () => {
  it('a process is told by the date that it began at, whatever it does', () => {
    const sleeping = psSight(answer('S+   Sat Nov 28 20:30:29 2026    \n'), there).start(7);
    const running = psSight(answer('R+   Sat Nov 28 20:30:29 2026    \n'), there).start(7);
    expect(sleeping).toBe('Sat Nov 28 20:30:29 2026');
    expect(running).toBe(sleeping);
    expect(psSight(answer('Ss   Wed Dec  2 01:02:03 2026\n'), there).start(7)).toBe(
      'Wed Dec 2 01:02:03 2026',
    );
  });

  it.each([
    ['is not there any more', answer('', 1)],
    ['has ended and is still listed', answer('Z    Sat Nov 28 20:30:29 2026\n')],
  ])('a process that %s has no start', (_, run) => {
    expect(psSight(run, there).start(7)).toBeNull();
  });

  it('no program is started for a number that the kernel does not know', () => {
    const run = () => {
      throw new Error('started');
    };
    expect(psSight(run, () => false).start(7)).toBeNull();
  });

  it.each([
    ['cannot be run', answer('', null)],
    ['says something else', answer('S\n')],
  ])('where ps %s, nobody knows', (_, run) => {
    expect(psSight(run, there).start(7)).toBe('unknown');
  });

  it('asks in numbers alone, by absolute path', () => {
    const asked: unknown[] = [];
    psSight((file, args) => {
      asked.push([file, ...args]);
      return { exitCode: 1, stdout: '' };
    }, there).start(7);
    expect(asked).toEqual([['/bin/ps', '-o', 'stat=', '-o', 'lstart=', '-p', '7']]);
  });

  it.each([
    ['  501   501\n', 0, true],
    ['  501   777\n', 0, false],
    ['  501     0\n', 0, false],
    ['', 1, true],
    ['', null, true],
  ])('%j, exit %s: in the foreground %s', (stdout, exitCode, isForeground) => {
    expect(psSight(answer(stdout, exitCode), there).isForeground()).toBe(isForeground);
  });
});

describe.runIf(existsSync('/bin/ps'))('a ps that is here', () => {
  const sight = psSight();

  it('tells the same of a process twice, and nothing of one that has ended', async () => {
    const start = sight.start(process.pid);
    expect(start).toMatch(/^\w{3} \w{3} \d{1,2} \d\d:\d\d:\d\d \d{4}$/);
    expect(sight.start(process.pid)).toBe(start);
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    expect(sight.start(child.pid ?? 0)).toBeNull();
  });
});

it('on Linux /proc tells', () => {
  expect(processSight('linux').start(process.pid)).toMatch(/^\d+$/);
  expect(processSight('linux').start(2 ** 30)).toBeNull();
});

describe('a brief tool', () => {
  it('answers with its output and how it ended', () => {
    expect(runBriefly('/bin/sh', ['-c', 'echo "$TZ $LC_ALL"; exit 3'])).toEqual({
      exitCode: 3,
      stdout: 'UTC C\n',
    });
  });

  it('is a value also where there is none, or it says too much', () => {
    expect(runBriefly('/nowhere/ps', [])).toEqual({ exitCode: null, stdout: '' });
    expect(runBriefly('/bin/sh', ['-c', 'yes'])).toEqual({ exitCode: null, stdout: '' });
  });
});
