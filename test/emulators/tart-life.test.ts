import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually, resultOf, WITHOUT_GUESTS } from './container-call.ts';
import { endTart } from './tart/emulation.ts';
import { createTart, type EmulatedTart, IMAGE, isThere, openFile, type Run } from './tart-call.ts';

describe.skipIf(WITHOUT_GUESTS)('a macOS guest of the emulated tart (needs root on Linux)', () => {
  let tart: EmulatedTart;
  let run: Run;
  let share: string;
  beforeAll(async () => {
    tart = createTart();
    share = join(tart.home, 'share');
    for (const folder of ['code', 'fixed']) mkdirSync(join(share, folder), { recursive: true });
    writeFileSync(join(share, 'fixed', 'file'), 'fixed\n');
    await tart.call('clone', IMAGE, 'mac');
    const shares = [`--dir=code:${share}/code`, `--dir=fixed:${share}/fixed:ro`];
    run = await tart.boot('mac', ...shares);
  });
  afterAll(() => tart.end());

  const shell = (script: string) => tart.call('exec', 'mac', '/bin/sh', '-c', script);

  it('hands softnet its cable at descriptor 0, and the address of the card', async () => {
    const config = JSON.parse(readFileSync(join(tart.home, '.tart/vms/mac/config.json'), 'utf8'));
    expect(tart.told()).toMatchObject({
      argv: ['--vm-fd', '0', '--vm-mac-address', config.macAddress],
      ...{ family: 'AF_UNIX', type: 'SOCK_DGRAM' },
    });
  });

  it('has nothing but that cable, with what it was leased', async () => {
    await eventually('there is a lease', async () =>
      (await shell('/sbin/ifconfig en0')).stdout.includes('inet 192'),
    );
    const seen = await shell(
      'ls /sys/class/net; /sbin/ifconfig en0; cat /etc/resolv.conf; ipconfig getoption en0 252',
    );
    expect(seen.stdout).toMatch(
      /^en0\nlo\n[\s\S]*mtu 1400\n[\s\S]*nameserver 192\.168\.127\.1\nhttp:\/\/192/,
    );
    expect((await tart.call('ip', 'mac', '--resolver', 'agent')).stdout).toBe('192.168.127.2\n');
    expect((await tart.call('ip', 'mac')).status).toBe(1);
    const echo = await shell('sudo -n /.emulator/busybox ping -c 1 -W 5 192.168.127.1');
    expect([echo.status, echo.stdout]).toEqual([0, expect.stringContaining('1 packets received')]);
  });

  it('has its network changed by macOS\u2019s own words, by root alone', async () => {
    await eventually('there is a lease', async () =>
      (await shell('/sbin/ifconfig en0')).stdout.includes('inet 192'),
    );
    const alias = '/sbin/ifconfig en0 alias 10.1.2.3 255.255.255.255';
    expect((await shell(alias)).status).toBe(1);
    const route = '/sbin/route -n add -host 203.0.113.9 -interface en0';
    const { stdout } = await shell(
      `sudo ${alias}; sudo ${route}; /usr/sbin/netstat -rn; /sbin/ifconfig -a; sudo /sbin/ifconfig en0 -alias 10.1.2.3; /sbin/ifconfig en0`,
    );
    expect(stdout).toMatch(/^Internet:\nDestination.*\ndefault 192\.168\.127\.1 UGSc en0$/m);
    expect(stdout).toMatch(/^203\.0\.113\.9 link#4 UGSc en0$/m);
    expect(stdout.match(/inet 10\.1\.2\.3$/gm)).toHaveLength(1);
    expect(stdout).toMatch(/^lo0: flags/m);
    expect((await shell('echo copied | pbcopy; pbpaste')).stdout).toBe('copied\n');
  });

  it('runs commands as the agent does: its environment, its folder, its user', async () => {
    const { stdout } = await shell(
      'id -un; pwd; echo "$PATH"; echo "$HOME"; sudo -n id -u; sudo -n sh -c "echo \\$PATH"; echo "[$FOREIGN]"',
    );
    const path = '/bin:/usr/bin:/usr/sbin:/usr/local/bin:/opt/homebrew/bin';
    expect(stdout.split('\n')).toEqual(['admin', '/Users/admin', path, '/Users/admin', '0', path, '[]', '']);
    // `/sbin` is not in that path, and macOS has its own there.
    expect((await tart.call('exec', 'mac', 'sudo', '-n', 'shutdown', '-h', 'now')).stderr).toContain(
      'command not found',
    );
    expect((await tart.call('exec', 'mac', '/sbin/shutdown', '-h', 'now')).stderr).toContain(
      'NOT super-user',
    );
  });

  it('gives the status of a command, and ambiguous ones for everything else', async () => {
    expect((await shell('exit 42')).status).toBe(42);
    expect((await shell('kill -9 $$')).status).toBe(255);
    const missing = await tart.call('exec', 'mac', 'no-such-program');
    expect([missing.status, missing.stderr]).toEqual([1, expect.stringContaining('GRPC')]);
    expect((await tart.call('exec', 'mac', '--', 'true')).status).toBe(1);
  });

  it('passes input only where it is asked for, and much of it both ways', async () => {
    expect((await tart.callWith('words', 'exec', '-i', 'mac', 'cat')).stdout).toBe('words');
    expect((await tart.callWith('words', 'exec', 'mac', 'cat')).stdout).toBe('');
    const much = 'x'.repeat(3_000_000);
    expect((await tart.callWith(much, 'exec', '-i', 'mac', 'cat')).stdout.length).toBe(much.length);
  });

  it('traps where a terminal is asked for and none is there, and gives one where there is', async () => {
    expect(await resultOf(tart.begin('exec', '-t', 'mac', 'true'))).toMatchObject({ status: null });
    const program = join(tart.home, 'terminal.py');
    writeFileSync(
      program,
      'import os, pty, sys\nsys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))\n',
    );
    const tool = tart.begin('--version').spawnfile;
    const { spawn } = await import('node:child_process');
    const env = { HOME: tart.home, PATH: '/usr/bin:/bin' };
    const words = [program, tool, 'exec', '-it', 'mac', 'sh', '-c', 'test -t 0 && test -t 1 && tty; exit 3'];
    const shown = await resultOf(spawn('/usr/bin/python3', words, { env, stdio: ['pipe', 'pipe', 'pipe'] }));
    expect([shown.status, shown.stdout]).toEqual([3, expect.stringContaining('/dev/pts/')]);
  });

  it('waits for whoever keeps the outputs open, and kills the command alone when the caller is gone', async () => {
    const began = Date.now();
    expect((await shell('sleep 2 & exit 5')).status).toBe(5);
    expect(Date.now() - began).toBeGreaterThan(1900);
    const child = tart.begin(
      'exec',
      'mac',
      '/bin/sh',
      '-c',
      'sleep 301 >/dev/null 2>&1 </dev/null & exec sleep 302',
    );
    const running = async (what: string) =>
      (await shell('/.emulator/busybox ps -o args')).stdout.split('\n').includes(`sleep ${what}`);
    await eventually('both run', async () => (await running('301')) && (await running('302')));
    child.kill('SIGKILL');
    await eventually('the command is gone', async () => !(await running('302')));
    expect(await running('301')).toBe(true);
  });

  it('shares folders by name, with the rights of whoever runs the tool', async () => {
    const place = '"/Volumes/My Shared Files"';
    const made = await shell(
      `echo new > ${place}/code/made && ls -ln ${place}/code && cat ${place}/fixed/file`,
    );
    expect([made.status, made.stdout]).toEqual([0, expect.stringMatching(/ 501 +20 [\s\S]*fixed/)]);
    expect(statSync(join(share, 'code/made')).uid).toBe(process.getuid?.());
    const refused = await shell(`sudo -n touch ${place}/fixed/file`);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('Read-only')]);
  });

  it('has programs of macOS that note what they were told', async () => {
    expect((await shell('sw_vers -productName; uname')).stdout).toBe('macOS\nDarwin\n');
    expect((await shell('networksetup -setwebproxy Ethernet 192.0.2.1 3128')).status).toBe(14);
    const set =
      'sudo -n networksetup -setwebproxy Ethernet 192.0.2.1 3128; networksetup -getwebproxy Ethernet; cat /.emulator/told';
    expect((await shell(set)).stdout).toMatch(
      /Enabled: Yes\nServer: 192\.0\.2\.1\nPort: 3128[\s\S]*networksetup -setwebproxy/,
    );
    expect((await shell('networksetup -getwebproxy Wi-Fi')).status).toBe(4);
  });

  it('runs once, is not deleted meanwhile, and says that it runs', async () => {
    expect((await tart.call('run', 'mac', '--net-softnet')).status).toBe(2);
    expect((await tart.call('delete', 'mac')).status).toBe(1);
    expect(JSON.parse((await tart.call('get', 'mac', '--format', 'json')).stdout)).toMatchObject({
      ...{ Running: true, State: 'running' },
    });
  });

  it('is powered off by stop, with everything of it; a second run finds the old socket in its way', async () => {
    const { pid } = tart.told();
    expect((await tart.call('stop', 'mac')).status).toBe(0);
    expect((await run.ended).status).toBe(0);
    expect(isThere(pid)).toBe(false);
    const again = tart.start('mac', ['--net-softnet']);
    await eventually('it runs again', async () =>
      (await tart.call('get', 'mac', '--format', 'json')).stdout.includes('"running"'),
    );
    expect((await tart.call('exec', 'mac', 'true')).status).toBe(1);
    again.child.kill('SIGTERM');
    expect((await again.ended).status).toBe(null);
    expect((await tart.call('get', 'mac', '--format', 'json')).stdout).toContain('"stopped"');
  });
});

describe.skipIf(WITHOUT_GUESTS)('runs of the emulated tart (needs root on Linux)', () => {
  let tart: EmulatedTart;
  beforeAll(() => {
    tart = createTart();
  });
  afterEach(() => endTart(tart.home));
  afterAll(() => tart.end());

  it('end with the guest, which shuts itself down', async () => {
    tart.make('linux', { os: 'linux' });
    const share = join(tart.home, 'share');
    mkdirSync(share);
    const { ended } = await tart.boot('linux', `--dir=work:${share}`);
    const shell = (script: string) => tart.call('exec', 'linux', '/bin/sh', '-c', script);
    const mounted = await shell(
      'sudo -n mkdir -p /mnt/shared && sudo -n mount -t virtiofs com.apple.virtio-fs.automount /mnt/shared && touch /mnt/shared/work/x && ls /sys/class/net',
    );
    expect([mounted.status, mounted.stdout]).toEqual([0, 'enp0s1\nlo\n']);
    expect(statSync(join(share, 'x')).uid).toBe(process.getuid?.());
    expect((await shell('sudo -n mount -t virtiofs other /mnt')).status).toBe(32);
    expect((await shell('sudo -n shutdown -h now')).status).toBe(0);
    expect((await ended).status).toBe(0);
  });

  it('hand the control socket on as descriptor 1, and check it first', async () => {
    tart.make('controlled', { os: 'darwin' });
    const file = openFile(tart.home);
    const wrong = tart.start('controlled', ['--net-softnet-control-fd=3'], ['pipe', 'pipe', 'pipe', file.fd]);
    expect(await wrong.ended).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('is not a socket'),
    });
    file.close();
    expect((await tart.start('controlled', ['--net-softnet-control-fd=2']).ended).status).toBe(1);
    const right = tart.start(
      'controlled',
      ['--net-softnet-control-fd=3', '--net-softnet-allow=@host'],
      ['pipe', 'pipe', 'pipe', 'pipe'],
    );
    let heard = '';
    right.child.stdio[3]?.on('data', (chunk) => {
      heard += chunk;
    });
    await eventually('softnet speaks', () => heard.includes('hello'));
    const { argv, stdout } = tart.told();
    expect([argv.slice(4), stdout]).toEqual([['--allow', '@host', '--control-fd', '1'], 'socket']);
  });

  it('end when softnet ends, or is not there', async () => {
    tart.make('cut', { os: 'linux', hasAgent: false });
    const { ended } = tart.start('cut', ['--net-host']);
    await eventually('softnet runs', () => isThere(toldPid(tart, '--vm-net-type')));
    process.kill(tart.told().pid, 'SIGKILL');
    expect(await ended).toMatchObject({ status: 1, stderr: expect.stringContaining('Softnet') });
    const { spawn } = await import('node:child_process');
    const tool = tart.begin('--version').spawnfile;
    const env = { HOME: tart.home, PATH: '/usr/bin:/bin' };
    const without = await resultOf(
      spawn(tool, ['run', 'cut', '--net-softnet'], { env, stdio: ['pipe', 'pipe', 'pipe'] }),
    );
    expect(without).toMatchObject({ status: 1, stderr: expect.stringContaining('softnet not found') });
  });

  it('with a terminal would make softnet SUID root, and does not here', async () => {
    tart.make('shown', { os: 'linux' });
    const program = join(tart.home, 'terminal.py');
    writeFileSync(
      program,
      'import os, pty, sys\nsys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))\n',
    );
    const { spawn } = await import('node:child_process');
    const tool = tart.begin('--version').spawnfile;
    const env = { HOME: tart.home, PATH: `${join(import.meta.dirname, 'tart-softnet')}:/usr/bin:/bin` };
    const words = [program, tool, 'run', 'shown', '--net-softnet'];
    const shown = await resultOf(spawn('/usr/bin/python3', words, { env, stdio: ['pipe', 'pipe', 'pipe'] }));
    expect([shown.status, shown.stdout]).toEqual([1, expect.stringContaining('chmod u+s')]);
  });

  it('of macOS are two at a time, and never have one address twice', async () => {
    const macAddress = '02:00:00:00:00:aa';
    for (const name of ['m1', 'm2', 'm3'])
      tart.make(name, { os: 'darwin', hasAgent: false, config: { macAddress } });
    const first = tart.start('m1', ['--net-softnet']);
    const isRunning = (name: string) => async () =>
      (await tart.call('get', name, '--format', 'json')).stdout.includes('"running"');
    await eventually('the first runs', isRunning('m1'));
    const second = tart.start('m2', ['--net-softnet']);
    await eventually('the second runs', isRunning('m2'));
    const third = await tart.start('m3', ['--net-softnet']).ended;
    expect(third).toMatchObject({ status: 1, stdout: expect.stringContaining('same MAC address') });
    expect(third.stderr).toMatch(/^The number of VMs exceeds the system limit \(other running VMs: m1, m2\)/);
    // Without `--suspendable` a snapshot is a failure, and the guest is lost; a power button asks nobody.
    second.child.kill('SIGUSR2');
    second.child.kill('SIGUSR1');
    expect((await second.ended).status).toBe(1);
    first.child.kill('SIGINT');
    expect((await first.ended).status).toBe(0);
  });

  it('are suspended where they were made for it, and go on', async () => {
    tart.make('kept', { os: 'darwin' });
    const { ended } = await tart.boot('kept', '--suspendable');
    expect((await tart.call('suspend', 'kept')).status).toBe(0);
    expect((await ended).status).toBe(0);
    expect((await tart.call('get', 'kept', '--format', 'json')).stdout).toContain('"suspended"');
    expect((await tart.call('stop', 'kept')).status).toBe(0);
    expect((await tart.call('get', 'kept', '--format', 'json')).stdout).toContain('"stopped"');
  });
});

/** 0 while it was not started with the word. */
function toldPid(tart: EmulatedTart, word: string): number {
  try {
    const { argv, pid } = tart.told();
    return argv.includes(word) ? pid : 0;
  } catch {
    return 0;
  }
}
