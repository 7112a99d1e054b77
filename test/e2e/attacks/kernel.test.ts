/** A guest asks the kernel for more than it was given: privileges, sockets of other kinds, other surfaces. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Outcomes, outcomesFor, runProbe } from '../attacks-support/probe.ts';
import { CALLERS, createWorld, type World } from '../sand.ts';

describe.each(CALLERS)('the kernel, asked by a guest of the %s', (who) => {
  let world: World;
  let outcomes: Outcomes;

  beforeAll(async () => {
    world = createWorld(who);
    ({ outcomes } = await runProbe(world, 'kernel.py', {}));
  });
  afterAll(() => world.remove());

  const refused = (names: readonly string[], error: string) =>
    expect(Object.fromEntries(names.map((name) => [name, outcomes[name]]))).toEqual(
      Object.fromEntries(names.map((name) => [name, error])),
    );

  it('gives no capability, no new privileges and a filter, to the command and to the init above it', () => {
    for (const status of [outcomes.status, outcomes['init status']]) {
      expect(status).toMatchObject({
        CapInh: '0000000000000000',
        CapPrm: '0000000000000000',
        CapEff: '0000000000000000',
        CapBnd: '0000000000000000',
        CapAmb: '0000000000000000',
        NoNewPrivs: '1',
        Seccomp: '2',
      });
    }
  });

  it('opens no AF_VSOCK socket, whichever way the family is written', () => {
    refused(['socket: vsock', 'socket: vsock with high bits'], 'EAFNOSUPPORT');
  });

  it('opens no packet and no raw socket', () => {
    refused(['socket: packet', 'socket: packet datagram', 'socketpair: packet'], 'EAFNOSUPPORT');
    refused(['socket: raw IPv4', 'socket: raw IPv6', 'socket: raw IPv4, close-on-exec'], 'EPROTONOSUPPORT');
  });

  it('opens no socket of any other family', () => {
    const others = ['ALG', 'KEY', 'XDP', 'BLUETOOTH', 'CAN', 'TIPC', 'RDS', 'QIPCRTR', 'SMC', 'KCM'];
    refused(
      others.map((name) => `socket: AF_${name}`),
      'EAFNOSUPPORT',
    );
    refused(['socket: sctp'], 'EPROTONOSUPPORT');
  });

  it('has no io_uring, which could open sockets past the filter', () => {
    refused(['io_uring_setup', 'io_uring_enter', 'io_uring_register'], 'ENOSYS');
  });

  it('has no bpf, perf, userfaultfd, kernel log, module or kexec calls', () => {
    refused(['bpf', 'perf_event_open', 'userfaultfd', 'syslog', 'init_module', 'kexec_load'], 'EPERM');
  });

  it('cannot reach a keyring of its caller', () => {
    refused(['add_key', 'request_key', 'keyctl'], 'EPERM');
  });

  it('cannot mount, unmount, change its root or enter a namespace, by old calls and new', () => {
    refused(['mount', 'umount2', 'pivot_root', 'setns', 'open_by_handle_at', 'chroot'], 'EPERM');
    refused(['open_tree', 'move_mount', 'fsopen', 'mount_setattr'], 'ENOSYS');
  });

  it.runIf(process.arch === 'x64')('cannot call by the i386 and x32 tables', () => {
    // -38 is ENOSYS as the bare system call gives it; nothing at all where the kernel has no such entry.
    for (const name of ['i386 getpid', 'i386 vsock']) expect(['-38', '']).toContain(outcomes[name]);
    refused(['x32 getpid', 'x32 vsock'], 'ENOSYS');
  });

  it('cannot type into a terminal', () => {
    refused(['TIOCSTI', 'TIOCSTI with high bits', 'TIOCLINUX'], 'EPERM');
  });

  it('cannot become root by a namespace, a set-user-id program or a system call', () => {
    expect(outcomes['user namespace']).toBe('ENOSPC');
    refused(['mount namespace', 'network namespace'], 'EPERM');
    expect(outcomes.setuid).toMatch(/^E(INVAL|PERM)$/);
    expect(outcomes['setresuid of the host']).toMatch(/^E(INVAL|PERM)$/);
    expect(Object.values(outcomesFor(outcomes, 'said: '))).not.toContain('0');
  });

  it('cannot make a file that runs as its owner on the host', () => {
    const tries = outcomesFor(outcomes, 'setuid: ');
    const { openat2, ...others } = tries;
    expect(openat2).toBe('ENOSYS');
    expect(Object.values(others).length).toBeGreaterThan(5);
    expect(new Set(Object.values(others))).toEqual(new Set(['EPERM']));
    refused(['setgid: fchmodat', 'setgid: fchmod with high bits'], 'EPERM');
    for (const name of readdirSync(world.workspace))
      expect(lstatSync(join(world.workspace, name)).mode & 0o6000).toBe(0);
  });

  it('can change other permissions of its files as it likes', () => {
    expect(outcomes['plain chmod']).toBeNull();
    expect(lstatSync(join(world.workspace, 'plain')).mode & 0o7777).toBe(0o1755);
  });

  it('cannot make a device or a file with capabilities', () => {
    refused(['block device', 'character device'], 'EPERM');
    expect(outcomes['file capability']).toMatch(/^E(PERM|INVAL)$/);
  });
});
