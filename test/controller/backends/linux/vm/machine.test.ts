import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import {
  type MachineSpec,
  planEmulator,
  planHolder,
  planMachineMounts,
  planTrialBoot,
} from '../../../../../controller/backends/linux/vm/machine.ts';
import { MACHINE_FOLDER, NETWORK } from '../../../../../controller/backends/linux/vm/places.ts';

const SPEC: MachineSpec = {
  architecture: 'x64',
  acceleration: 'tcg',
  processors: 1,
  memoryMiB: 1024,
  virtiofsd: '/usr/lib/qemu/virtiofsd',
  sharesSystem: true,
  publishedPorts: [],
};
const FILES = {
  kernel: '/k',
  initramfs: Buffer.from('i'),
  clientKey: 'secret',
  serverPublicLine: 'ecdsa AAAA',
};

/** What follows each of these options. */
function valuesOf(argv: readonly string[], option: string): readonly string[] {
  return argv.flatMap((word, at) => (argv[at - 1] === option ? [word] : []));
}

describe('planEmulator', () => {
  it('takes a machine that boots every time, for each architecture', () => {
    expect(valuesOf(planEmulator(SPEC), '-machine')).toEqual(['q35']);
    const other = planEmulator({ ...SPEC, architecture: 'arm64' });
    expect(other[0]).toBe('qemu-system-aarch64');
    expect(valuesOf(other, '-machine')).toEqual(['virt']);
  });

  it('emulates or accelerates, as it was found out', () => {
    expect(valuesOf(planEmulator(SPEC), '-accel')).toEqual(['tcg,thread=multi']);
    const fast = planEmulator({ ...SPEC, acceleration: 'kvm' });
    expect(valuesOf(fast, '-accel')).toEqual(['kvm']);
    expect(fast.join(' ')).not.toContain('mitigations=off');
  });

  it('has one card, one way in, and it ends at the loopback of the sandbox', () => {
    const argv = planEmulator(SPEC);
    const [network = '', ...more] = valuesOf(argv, '-netdev');
    expect(more).toEqual([]);
    expect(network.split(',').filter((part) => part.startsWith('hostfwd='))).toEqual([
      `hostfwd=tcp:127.0.0.1:${NETWORK.sshPort}-${NETWORK.machine4}:${NETWORK.sshPort}`,
    ]);
    expect(network).not.toMatch(/tftp|smb|guestfwd/);
    expect(argv.filter((word) => word.startsWith('virtio-net-pci'))).toHaveLength(1);
  });

  it('has no monitor, no device of its own accord, and may start no program', () => {
    const argv = planEmulator(SPEC);
    expect(argv).toEqual(expect.arrayContaining(['-nodefaults', '-no-user-config', '-no-reboot']));
    expect(valuesOf(argv, '-monitor')).toEqual(['none']);
    expect(valuesOf(argv, '-sandbox')[0]).toContain('spawn=deny');
    expect(argv.join(' ')).not.toMatch(/-qmp|-gdb|-s\b|vnc|spice|-drive|-hda|-virtfs/);
  });

  it('shares the system apart only where it is one', () => {
    const shares = (spec: MachineSpec) =>
      planEmulator(spec).filter((word) => word.startsWith('vhost-user-fs-pci'));
    expect(shares(SPEC)).toHaveLength(2);
    expect(shares({ ...SPEC, sharesSystem: false })).toHaveLength(1);
  });
});

describe('planTrialBoot', () => {
  it('has neither network nor files', () => {
    const argv = planTrialBoot('x64', '/k', '/i');
    expect(valuesOf(argv, '-nic')).toEqual(['none']);
    expect(argv.join(' ')).not.toMatch(/netdev|vhost/);
  });
});

describe('planHolder', () => {
  const [, , script = ''] = planHolder(SPEC);

  it('is a script that sh reads', () => {
    expect(spawnSync('/bin/sh', ['-n', '-c', script]).status).toBe(0);
  });

  it('starts QEMU without what virtiofsd starts with', () => {
    const line = script.split('\n').find((text) => text.includes('qemu-system')) ?? '';
    expect(line).toMatch(
      /^'setpriv' '--inh-caps=-all' '--ambient-caps=-all' '--bounding-set=-all' 'qemu-system/,
    );
  });

  it('shows the published ports, on loopback alone', () => {
    const [, , text = ''] = planHolder({ ...SPEC, publishedPorts: [3000] });
    expect(text).toContain("'-L' '127.0.0.1:3000:127.0.0.1:3000' '-f'");
    expect(script).not.toContain("'-L'");
  });

  it('lets virtiofsd keep no capability', () => {
    const servers = script.split('\n').filter((text) => text.includes('virtiofsd'));
    const mounting = servers.filter((text) => text.includes('--socket-path'));
    expect(mounting).toHaveLength(2);
    for (const line of mounting) {
      expect(line).toContain(
        'modcaps=-chown:-dac_override:-dac_read_search:-fowner:-fsetid:-setgid:-setuid:-mknod:-setfcap',
      );
    }
  });

  it('asks again for what may change, and not for the system', () => {
    expect(script).toMatch(/'source=\/' '-o' 'cache=auto'/);
    expect(script).toMatch(/'source=\/usr' '-o' 'cache=always'/);
  });
});

describe('planMachineMounts', () => {
  it('keeps all in one folder that only the guest\u2019s user opens, and nothing of it writable', () => {
    const mounts = planMachineMounts(FILES, 'tcg');
    expect(mounts[0]).toEqual({ kind: 'directory', target: MACHINE_FOLDER, mode: '0700' });
    for (const mount of mounts) {
      if (mount.kind !== 'directory')
        expect('target' in mount && mount.target.startsWith(MACHINE_FOLDER)).toBe(true);
      if (mount.kind === 'bind') expect(mount.writable).toBe(false);
    }
  });

  it('has the device of KVM only where it is used', () => {
    const devices = (acceleration: 'kvm' | 'tcg') =>
      planMachineMounts(FILES, acceleration).filter(({ kind }) => kind === 'device');
    expect(devices('tcg')).toEqual([]);
    expect(devices('kvm')).toEqual([{ kind: 'device', source: '/dev/kvm', target: '/dev/kvm' }]);
  });
});
