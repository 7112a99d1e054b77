/** The command's exit status, standard streams and signals, as its caller sees them. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CALLERS, createWorld, type World } from '../sand.ts';
import { follow, until } from './conditions.ts';
import { inRole, processes } from './remains.ts';

describe.each(CALLERS)('a command of the %s', (who) => {
  let world: World;
  beforeAll(() => {
    world = createWorld(who);
  });
  afterAll(() => world.remove());

  const run = (script: string, flags: readonly string[] = []) =>
    follow(world.start(['run', '--policy', 'strict', ...flags, '--', 'sh', '-c', script]));

  it.each([
    ['true', 0],
    ['exit 7', 7],
    ['kill -TERM $$', 143],
    ['kill -KILL $$', 137],
    ['kill -SEGV $$', 139],
  ])('`%s` ends sand with %i', async (script, code) => {
    expect(await run(script).ended()).toBe(code);
  });

  it('that is not found ends with 127 and a sentence of sand\u2019s own', async () => {
    const output = await world.sand(['run', '--policy', 'strict', '--', 'no-such-command']);
    expect(output).toMatchObject({ code: 127, stdout: '' });
    expect(output.stderr).toMatch(/^sand: .*not found/);
  });

  it('that is no program ends with 126', async () => {
    const path = world.file('plain', 'text');
    chmodSync(path, 0o644);
    expect(await world.sand(['run', '--policy', 'strict', '--', './plain'])).toMatchObject({ code: 126 });
  });

  it('keeps standard output and standard error apart', async () => {
    const output = await world.sand([
      'run',
      '--policy',
      'strict',
      '--',
      'sh',
      '-c',
      'echo out; echo err >&2',
    ]);
    expect(output).toMatchObject({ code: 0, stdout: 'out\n', stderr: 'err\n' });
  });

  it('reads a pipe of some megabytes to its end and writes the very bytes', async () => {
    const bytes = Buffer.alloc(5 * 1024 * 1024, Buffer.from([0, 1, 2, 10, 13, 27, 127, 128, 255]));
    const child = world.start(['run', '--policy', 'strict', '--', 'cat']);
    const digest = createHash('sha256');
    child.stdout?.on('data', (chunk: Buffer) => digest.update(chunk));
    const closed = new Promise((resolve) => child.on('close', resolve));
    child.stdin?.end(bytes);
    expect(await closed).toBe(0);
    expect(digest.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  it('meets back-pressure, and sand keeps nothing of what it prints', async () => {
    const child = world.start([
      'run',
      '--policy',
      'strict',
      '--',
      'sh',
      '-c',
      'head -c 300000000 /dev/zero; echo done >&2',
    ]);
    child.stdout?.pause();
    const followed = { ended: new Promise((resolve) => child.on('close', resolve)), stderr: '' };
    child.stderr?.on('data', (chunk: Buffer) => {
      followed.stderr += chunk.toString();
    });
    await until('the command', () =>
      processes().find(({ commandLine }) => commandLine === 'head -c 300000000 /dev/zero'),
    );
    expect(followed.stderr).toBe('');
    let read = 0;
    child.stdout?.on('data', (chunk: Buffer) => {
      read += chunk.length;
    });
    child.stdout?.resume();
    const peak = await until(
      'the output to be half read',
      () => read > 150_000_000 && residentMiB(child.pid ?? 0),
    );
    expect(peak).toBeLessThan(250);
    expect(await followed.ended).toBe(0);
    expect(read).toBe(300_000_000);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('gets the %s that sand gets', async (signal) => {
    const command = run(
      `trap 'echo trapped > got; exit 42' ${signal.slice(3)}; echo up; while :; do sleep 0.05; done`,
    );
    await command.printed('up');
    command.child.kill(signal);
    expect(await command.ended()).toBe(42);
    expect(readFileSync(`${world.workspace}/got`, 'utf8')).toBe('trapped\n');
  });

  it('is not cut off from its signals when they come to sand\u2019s whole process group', async () => {
    const script = "trap 'exit 42' TERM; echo up; while :; do sleep 0.05; done";
    const [file = '', ...args] = [
      'setsid',
      ...world.start([]).spawnargs,
      'run',
      '--policy',
      'strict',
      '--',
      'sh',
      '-c',
      script,
    ];
    const command = follow(
      spawn(file, args, { cwd: world.workspace, env: world.environment, stdio: 'pipe' }),
    );
    await command.printed('up');
    process.kill(-command.pid, 'SIGTERM');
    expect(await command.ended()).toBe(42);
  });

  it('that ignores SIGTERM goes on, until the third one ends it by force', async () => {
    const command = run("trap '' TERM; echo up; while :; do sleep 0.05; echo tick; done");
    await command.printed('up');
    for (const left of [2, 1]) {
      command.child.kill('SIGTERM');
      const ticks = command.stdout().length;
      await until(`life with ${left} signals left`, () => command.stdout().length > ticks + 20);
    }
    command.child.kill('SIGTERM');
    expect(await command.ended()).toBe(137);
  });

  it('is ended with SIGTERM by --timeout', async () => {
    const command = run("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done", [
      '--timeout',
      '500ms',
    ]);
    expect(await command.ended()).toBe(124);
    expect(command.stdout()).toBe('up\nbye\n');
    expect(command.stderr()).toContain('--timeout');
  });
});

it('a command that ignores SIGTERM at --timeout is killed after the grace', async () => {
  const world = createWorld();
  try {
    const script = "trap '' TERM; while :; do sleep 0.05; done";
    const command = follow(
      world.start(['run', '--policy', 'strict', '--timeout', '500ms', '--', 'sh', '-c', script]),
    );
    const init = await until('the guest', () => inRole(command.pid, 'init', ''));
    expect(await command.ended()).toBe(124);
    expect(processes().some(({ pid }) => pid === init)).toBe(false);
  } finally {
    world.remove();
  }
});

function residentMiB(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}
