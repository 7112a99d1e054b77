import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endEmulator, setEmulator } from './container/emulation.ts';
import type { Settings } from './container/settings.ts';
import { createEmulated, type Emulated, eventually, WITHOUT_GUESTS } from './container-call.ts';

function cmdlineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

describe.skipIf(WITHOUT_GUESTS)('faults of emulated guests (needs root on Linux)', () => {
  let emulated: Emulated;
  beforeAll(() => {
    emulated = createEmulated();
  });
  afterAll(() => emulated.end());

  const show = (...faults: Settings['faults']) => setEmulator(emulated.home, { faults });
  const NETLINK = 'import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)';

  it('has no nf_tables, and lacks a capability', async () => {
    show({ fault: 'no-netfilter' }, { fault: 'drop-capability', value: 'NET_ADMIN' });
    await emulated.boot('poor', '--cap-add', 'NET_ADMIN');
    expect((await emulated.call('exec', 'poor', '/usr/bin/python3', '-c', NETLINK)).stderr).toContain(
      'Protocol not supported',
    );
    const { stdout } = await emulated.call('exec', 'poor', 'grep', 'CapEff', '/proc/self/status');
    expect(Number.parseInt(stdout.split('\t')[1] ?? '', 16) & (1 << 12)).toBe(0);
  });

  it('has them otherwise', async () => {
    show();
    await emulated.boot('rich', '--cap-add', 'NET_ADMIN');
    expect((await emulated.call('exec', 'rich', '/usr/bin/python3', '-c', NETLINK)).status).toBe(0);
  });

  it('vanishes', async () => {
    show({ fault: 'vanish', ms: 50 });
    await emulated.boot('gone');
    await eventually('it is unknown', async () => (await emulated.call('inspect', 'gone')).status === 1);
  });

  it('loses its helper', async () => {
    show({ fault: 'kill-helper', ms: 50 });
    await emulated.boot('orphan');
    await eventually(
      'it has stopped',
      async () => !(await emulated.call('ls', '-q')).stdout.includes('orphan'),
    );
  });

  it('is ended by name of its HOME, with all that it runs, and leaves nothing', async () => {
    show();
    await emulated.boot('left');
    await emulated.call('exec', '-d', 'left', 'sh', '-c', 'sleep 1000');
    const of = () =>
      readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && cmdlineOf(pid).includes(emulated.home))
        .length;
    expect(of()).toBeGreaterThan(0);
    await endEmulator(emulated.home);
    await eventually('nothing of it runs', () => of() === 0);
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(emulated.home);
    expect((await emulated.call('ls', '-q')).stdout).toBe('');
  });

  it('lacks a socket that was asked for', async () => {
    show({ fault: 'no-socket', value: '/.sand/a' });
    const server = createServer();
    const path = join(emulated.home, 'a.sock');
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await emulated.boot('deaf', '-v', `${path}:/.sand/a`);
    expect((await emulated.call('exec', 'deaf', 'ls', '/.sand')).status).not.toBe(0);
    server.close();
  });
});
