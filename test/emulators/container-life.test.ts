import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { homeOf } from './container/home.ts';
import { createEmulated, type Emulated, eventually, WITHOUT_GUESTS } from './container-call.ts';

describe.skipIf(WITHOUT_GUESTS)('the life of an emulated container (needs root on Linux)', () => {
  let emulated: Emulated;
  const initOf = (name: string): { init: { pid: number } } =>
    JSON.parse(readFileSync(join(homeOf(emulated.home).containers, name, 'state.json'), 'utf8'));

  beforeAll(async () => {
    emulated = createEmulated();
    mkdirSync(join(emulated.home, 'work'));
    writeFileSync(join(emulated.home, 'work', 'file'), 'of the host');
    const work = join(emulated.home, 'work');
    const capabilities = [
      '--cap-drop',
      'ALL',
      '--cap-add',
      'NET_ADMIN',
      '--cap-add',
      'CAP_SETUID',
      '--cap-add',
      'SETGID',
    ];
    await emulated.boot(
      'one',
      '--dns',
      '127.0.0.1',
      '-v',
      `${work}:/code`,
      '-v',
      `${work}:/sealed:ro`,
      '-e',
      'A=1',
      ...capabilities,
    );
  });
  afterAll(() => emulated.end());

  const shell = async (script: string, ...options: string[]) => {
    const result = await emulated.call('exec', ...options, '--', 'one', 'sh', '-c', script);
    return { ...result, stdout: result.stdout.trim() };
  };

  it('has no network but its own lo', async () => {
    const { stdout } = await shell('cat /proc/net/dev; cat /proc/net/route');
    expect([...stdout.matchAll(/^ *(\w+):/gm)].map(([, name]) => name)).toEqual(['lo']);
    expect(stdout).toMatch(/^Iface/m);
    expect(stdout).not.toMatch(/eth|0003\b/);
  });

  it('reaches no vsock, whatever this machine runs on', async () => {
    const script = 'import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)';
    const { stderr } = await emulated.call('exec', 'one', '/usr/bin/python3', '-c', script);
    expect(stderr).toContain('Address family not supported');
  });

  it('names the resolver that it was given', async () => {
    expect((await shell('cat /etc/resolv.conf /etc/hosts')).stdout).toBe(
      'nameserver 127.0.0.1\n127.0.0.1 localhost',
    );
  });

  it('has exactly the capabilities asked for, in three sets', async () => {
    const { stdout } = await shell('grep ^Cap /proc/self/status | cut -f2');
    expect(stdout.split('\n')).toEqual(
      ['0', '10c0', '10c0', '10c0', '0'].map((mask) => mask.padStart(16, '0')),
    );
  });

  it('has none of them left for another user', async () => {
    const { stdout } = await shell(
      'id -u; grep -E "^Cap(Prm|Eff)" /proc/self/status | cut -f2',
      '--user',
      '1234:99',
    );
    expect(stdout.split('\n')).toEqual(['1234', '0'.repeat(16), '0'.repeat(16)]);
  });

  it('shares folders, and a sealed one is not written', async () => {
    expect((await shell('cat /code/file; echo new > /code/new; echo x > /sealed/file')).stderr).toContain(
      'Read-only',
    );
    expect(readFileSync(join(emulated.home, 'work', 'new'), 'utf8')).toBe('new\n');
  });

  it('sees neither the homes nor the temporary files of the host', async () => {
    expect((await shell('ls -A /root /home /tmp | grep -v :')).stdout).toBe('');
    expect((await shell('echo 1 > /proc/sys/net/ipv4/ip_forward')).status).not.toBe(0);
  });

  it('gives an exec its environment, user, folder and input', async () => {
    const { stdout } = await shell('echo "$A $B"; pwd', '-e', 'B=2', '-w', '/usr/share');
    expect(stdout).toBe('1 2\n/usr/share');
    expect(await emulated.callWith('typed', 'exec', '-i', 'one', 'cat')).toMatchObject({
      status: 0,
      stdout: 'typed',
    });
    expect(await emulated.callWith('typed', 'exec', 'one', 'cat')).toMatchObject({ status: 0, stdout: '' });
  });

  it('passes the status on, that of a signal with 128 more', async () => {
    expect((await shell('exit 255')).status).toBe(255);
    expect((await shell('kill -TERM $$')).status).toBe(143);
  });

  it('fails with 1 where there is no such executable or user', async () => {
    expect(await emulated.call('exec', 'one', 'no-such-thing')).toMatchObject({
      status: 1,
      stderr: 'Error: failed to find target executable no-such-thing\n',
    });
    expect((await shell('true', '--user', 'nobody-here')).stderr).toMatch(/^Error: unable to find user/);
  });

  it('fails with 1 when output stays open for three seconds after the end', async () => {
    const began = Date.now();
    const { status, stdout, stderr } = await shell('sleep 30 & echo out; exit 5');
    expect([status, stdout, stderr.startsWith('Error: ')]).toEqual([1, 'out', true]);
    expect(Date.now() - began).toBeGreaterThan(2900);
  });

  it('gives a process a terminal of the guest', async () => {
    expect((await shell('tty; [ -t 0 ] && [ -t 2 ] && echo all', '-t')).stdout).toBe('/dev/pts/0\r\nall');
  });

  it('carries much both ways at the same time', async () => {
    const text = 'x'.repeat(2_000_000);
    const { stdout } = await emulated.callWith(text, 'exec', '-i', 'one', 'cat');
    expect(stdout.length).toBe(text.length);
  });

  it('leaves a detached process running', async () => {
    expect(
      (await emulated.call('exec', '-d', 'one', 'sh', '-c', 'sleep 0.2; echo done > /tmp/done; sleep 100'))
        .stdout,
    ).toBe('one\n');
    await eventually('the file is there', async () => (await shell('cat /tmp/done')).stdout === 'done');
  });

  it('copies in and out', async () => {
    expect((await emulated.call('cp', join(emulated.home, 'work', 'file'), 'one:/tmp/in')).status).toBe(0);
    expect((await emulated.call('cp', 'one:/tmp/in', join(emulated.home, 'out'))).status).toBe(0);
    expect(readFileSync(join(emulated.home, 'out'), 'utf8')).toBe('of the host');
  });

  it('is started once, stopped as often as one likes, and leaves nothing', async () => {
    const { pid } = initOf('one').init;
    expect((await emulated.call('start', 'one')).stdout).toBe('one\n');
    expect(initOf('one').init.pid).toBe(pid);
    expect((await emulated.call('delete', 'one')).status).toBe(1);
    expect(await emulated.call('stop', '-t', '0', 'one')).toMatchObject({ status: 0, stdout: 'one\n' });
    expect((await emulated.call('stop', 'one')).status).toBe(0);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect((await emulated.call('exec', 'one', 'true')).status).toBe(1);
    expect((await emulated.call('delete', 'one')).status).toBe(0);
    expect((await emulated.call('stop', 'one')).status).toBe(1);
    expect(readdirSync(homeOf(emulated.home).containers)).toEqual([]);
    expect(readdirSync(homeOf(emulated.home).processes)).toEqual([]);
  });
});
