import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { homeOf } from './container/home.ts';
import { isAlive, type ProcessIdentity } from './container/processes.ts';
import { createEmulated, type Emulated, eventually, resultOf, WITHOUT_GUESTS } from './container-call.ts';

describe.skipIf(WITHOUT_GUESTS)('runs and signals of the emulated container (needs root on Linux)', () => {
  let emulated: Emulated;
  beforeAll(() => {
    emulated = createEmulated();
  });
  afterAll(() => emulated.end());

  const stateOf = (name: string): { init: ProcessIdentity; helper: ProcessIdentity } =>
    JSON.parse(readFileSync(join(homeOf(emulated.home).containers, name, 'state.json'), 'utf8'));
  const names = async () => (await emulated.call('ls', '-a', '-q')).stdout;

  it('runs in the foreground with the status of the entrypoint, and goes with --rm', async () => {
    const ran = await emulated.callWith(
      'in',
      'run',
      '--rm',
      '-i',
      '--network',
      'none',
      'host',
      'sh',
      '-c',
      'cat; echo err >&2; exit 7',
    );
    expect(ran).toEqual({ status: 7, stdout: 'in', stderr: 'err\n' });
    await eventually('it is gone', async () => (await names()) === '');
  });

  it('loses nothing to a reader that is slow, and ends without one', async () => {
    const count = 'head -c 3000000 /dev/zero';
    const call = emulated.begin('run', '--rm', '--network', 'none', 'host', 'sh', '-c', count);
    call.stdout?.pause();
    // Read only once it is certain that pipes are full.
    await eventually('the container runs', async () => (await names()) !== '');
    const ended = resultOf(call);
    call.stdout?.resume();
    expect((await ended).stdout.length).toBe(3_000_000);
    const unread = emulated.begin('run', '--rm', '--network', 'none', 'host', 'sh', '-c', count);
    unread.stdout?.destroy();
    expect(await new Promise((resolve) => unread.once('exit', resolve))).toBe(0);
  });

  it('keeps the output of a detached one', async () => {
    const { stdout } = await emulated.call(
      'run',
      '-d',
      '--name',
      'logged',
      '--network',
      'none',
      'host',
      'sh',
      '-c',
      'echo a; echo b >&2; sleep 100',
    );
    expect(stdout).toBe('logged\n');
    await eventually(
      'both lines are there',
      async () => (await emulated.call('logs', 'logged')).stdout.split('\n').length === 3,
    );
    expect((await emulated.call('logs', '-n', '1', 'logged')).stdout).toMatch(/^[ab]\n$/);
    await emulated.call('delete', '-f', 'logged');
  });

  it('deletes what could not be started', async () => {
    const ran = await emulated.call('run', '--network', 'none', 'host', 'no-such-thing');
    expect([ran.status, ran.stderr]).toEqual([1, 'Error: failed to find target executable no-such-thing\n']);
    expect((await emulated.call('run', '--network', 'none', '--dns', '127.0.0.1:53', 'host')).status).toBe(1);
    expect(await names()).toBe('');
  });

  it('stops with the signal first, which an entrypoint may take its time for', async () => {
    await emulated.call(
      'run',
      '-d',
      '--name',
      'gentle',
      '--network',
      'none',
      'host',
      'sh',
      '-c',
      'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done',
    );
    await eventually(
      'the trap is set',
      async () => (await emulated.call('logs', 'gentle')).stdout === 'up\n',
    );
    expect((await emulated.call('stop', '-t', '10', 'gentle')).status).toBe(0);
    expect((await emulated.call('logs', 'gentle')).stdout).toBe('up\nbye\n');
    expect((await emulated.call('kill', 'gentle')).status).toBe(1);
    await emulated.call('delete', 'gentle');
  });

  it('does not pass signals on: the third ends the call and leaves the guest', async () => {
    await emulated.boot('signals');
    const call = emulated.begin('exec', 'signals', 'sh', '-c', 'echo up; sleep 1000');
    let [up, complaints] = ['', ''];
    call.stdout?.on('data', (chunk) => {
      up += chunk;
    });
    call.stderr?.on('data', (chunk) => {
      complaints += chunk;
    });
    const ended = resultOf(call);
    await eventually('it runs', () => up === 'up\n');
    for (const count of [1, 2]) {
      call.kill('SIGTERM');
      await eventually('it complains', () => complaints.split('failed to send signal').length === count + 1);
    }
    call.kill('SIGINT');
    expect((await ended).status).toBe(1);
    expect(
      (await emulated.call('exec', 'signals', 'sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "')).stdout,
    ).toContain('sleep 1000');
  });

  it('leaves a process of a call that is killed', async () => {
    const call = emulated.begin('exec', 'signals', 'sh', '-c', 'echo up; sleep 2000');
    const ended = resultOf(call);
    await new Promise((resolve) => call.stdout?.once('data', resolve));
    call.kill('SIGKILL');
    await ended;
    expect(
      (await emulated.call('exec', 'signals', 'sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "')).stdout,
    ).toContain('sleep 2000');
  });

  it('ends with 255 where the guest is stopped meanwhile', async () => {
    const call = emulated.begin('exec', 'signals', 'sh', '-c', 'echo up; sleep 3000');
    const ended = resultOf(call);
    await new Promise((resolve) => call.stdout?.once('data', resolve));
    await emulated.call('stop', '-t', '0', 'signals');
    expect((await ended).status).toBe(255);
  });

  it('dies with its helper', async () => {
    await emulated.call('start', 'signals');
    const { init, helper } = stateOf('signals');
    process.kill(helper.pid, 'SIGKILL');
    await eventually('the guest is dead', () => !isAlive(init));
    expect((await emulated.call('ls', '-q')).stdout).toBe('');
    expect((await emulated.call('delete', 'signals')).status).toBe(0);
  });

  it('makes one container of a name, however many calls ask for it', async () => {
    const made = await Promise.all(
      [1, 2, 3].map(() =>
        emulated.call('create', '--name', 'same', '--network', 'none', 'host', 'sleep', '100'),
      ),
    );
    expect(made.map(({ status }) => status).sort()).toEqual([0, 1, 1]);
    const started = await Promise.all([1, 2].map(() => emulated.call('start', 'same')));
    expect(started.map(({ status }) => status)).toEqual([0, 0]);
    await emulated.call('delete', '-f', 'same');
  });
});
