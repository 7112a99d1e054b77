/** Emulated guests of tart in machines of their own: one boot for what the tool does with them, one for an end before the boot is over. Skipped where the machine's parts are missing. */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, resultOf } from './container-call.ts';
import { missingParts } from './machine/parts.ts';
import { setTart } from './tart/emulation.ts';
import { createTart, type EmulatedTart, IMAGE, isThere, type Run } from './tart-call.ts';

const missing = missingParts();
const why = missing.length === 0 ? '' : ` (skipped: there is no ${missing.join(', no ')})`;
/** An emulated processor on a busy machine. */
const DEADLINE_MS = 300_000;

describe.skipIf(missing.length > 0)(
  `a guest of the emulated tart in a machine of its own${why}`,
  {
    timeout: DEADLINE_MS,
  },
  () => {
    let tart: EmulatedTart;
    let run: Run;
    let share: string;
    beforeAll(async () => {
      tart = createTart(DEADLINE_MS);
      setTart(tart.home, { runtime: 'qemu' });
      share = join(tart.home, 'share');
      for (const folder of ['code', 'fixed']) mkdirSync(join(share, folder), { recursive: true });
      writeFileSync(join(share, 'fixed/file'), 'fixed\n');
      await tart.call('clone', IMAGE, 'mac');
      run = await tart.boot('mac', `--dir=code:${share}/code`, `--dir=fixed:${share}/fixed:ro`);
    }, DEADLINE_MS);
    afterAll(() => tart.end());

    const shell = (script: string) => tart.call('exec', 'mac', '/bin/sh', '-c', script);

    it('has the card that softnet holds, with what it was leased', async () => {
      await eventually('there is a lease', async () =>
        (await shell('/sbin/ifconfig en0')).stdout.includes('inet 192'),
      );
      const { stdout } = await shell(
        'ls /sys/class/net; cat /sys/class/net/en0/address; cat /etc/resolv.conf',
      );
      const mac = tart.told().argv.at(-1);
      expect(stdout).toBe(`en0\nlo\n${mac}\nnameserver 192.168.127.1\n`);
      expect((await tart.call('ip', 'mac', '--resolver', 'agent')).stdout).toBe('192.168.127.2\n');
      const echo = await shell('sudo -n /.emulator/busybox ping -c 1 -W 9 192.168.127.1');
      expect(echo.stdout).toContain('1 packets received');
    });

    it('runs commands as its agent does, with their streams and status', async () => {
      const script = 'id -un; sudo -n id -u; cat; echo no >&2; exit 7';
      const told = await tart.callWith('given', 'exec', '-i', 'mac', 'sh', '-c', script);
      expect(told).toEqual({ status: 7, stdout: 'admin\n0\ngiven', stderr: 'no\n' });
      expect((await shell('kill -9 $$')).status).toBe(255);
      expect((await tart.call('exec', 'mac', 'no-such-program')).stderr).toContain('GRPC');
      const much = 'x'.repeat(1_000_000);
      expect((await tart.callWith(much, 'exec', '-i', 'mac', 'cat')).stdout.length).toBe(much.length);
    });

    it('kills a command whose caller is gone', async () => {
      const child = tart.begin('exec', 'mac', 'sleep', '302');
      const isRunning = async () =>
        (await shell('/.emulator/busybox ps -o args')).stdout.includes('\nsleep 302\n');
      await eventually('it runs', isRunning);
      child.kill('SIGKILL');
      await resultOf(child);
      await eventually('it is gone', async () => !(await isRunning()));
    });

    it('shares folders with the rights of whoever runs the tool, and writes no read-only one, whatever its root does', async () => {
      const place = '"/Volumes/My Shared Files"';
      const made = await shell(`echo new > ${place}/code/made && ls -ln ${place}/code`);
      expect([made.status, made.stdout]).toEqual([0, expect.stringMatching(/ 501 +20 /)]);
      expect(statSync(join(share, 'code/made')).uid).toBe(process.getuid?.());
      const script = `mount -o remount,bind,rw ${place}/fixed; echo over > ${place}/fixed/file; cat ${place}/fixed/file`;
      const refused = await tart.call('exec', 'mac', 'sudo', '-n', '/.emulator/busybox', 'sh', '-c', script);
      expect([refused.stdout, refused.stderr]).toEqual(['fixed\n', expect.stringMatching(/[Rr]ead-only/)]);
    });

    it('shuts itself down, and everything of it is gone', async () => {
      const softnet = tart.told().pid;
      expect((await shell('sudo -n /sbin/shutdown -h now')).status).toBe(0);
      expect((await run.ended).status).toBe(0);
      expect(isThere(softnet)).toBe(false);
    });

    it('is powered off while it boots', async () => {
      const began = tart.start('mac', ['--net-softnet']);
      await eventually('it runs', async () => (await tart.call('list')).stdout.includes('running'));
      expect((await tart.call('stop', 'mac')).status).toBe(0);
      expect((await began.ended).status).toBe(0);
    });
  },
);
