import { describe, expect, it } from 'vitest';
import {
  moduleDependencies,
  moduleName,
  planModules,
} from '../../../../../controller/backends/linux/vm/kernel-modules.ts';

describe('moduleName', () => {
  it('is the same for each spelling of a file', () => {
    expect(moduleName('/lib/modules/6.1/kernel/drivers/virtio-rng.ko')).toBe('virtio_rng');
    expect(moduleName('virtio_rng.ko.xz')).toBe('virtio_rng');
  });
});

describe('moduleDependencies', () => {
  it('reads what a module says of itself', () => {
    const module = Buffer.from('\0license=GPL\0depends=virtio-ring,virtio\0retpoline=Y\0');
    expect(moduleDependencies(module)).toEqual(['virtio_ring', 'virtio']);
  });

  it('finds none where none are named', () => {
    expect(moduleDependencies(Buffer.from('\0depends=\0name=x\0'))).toEqual([]);
    expect(moduleDependencies(Buffer.from('anything'))).toEqual([]);
  });
});

describe('planModules', () => {
  const plan = (wanted: readonly string[], known: Readonly<Record<string, readonly string[]>>) =>
    planModules(wanted, (name) => known[name] ?? null);

  it('puts each after what it depends on, once', () => {
    const known = { net: ['ring', 'failover'], failover: [], ring: [], files: ['fuse', 'ring'], fuse: [] };
    expect(plan(['net', 'files'], known)).toEqual(['ring', 'failover', 'net', 'fuse', 'files']);
  });

  it('leaves out what is built in', () => {
    expect(plan(['net', 'pci'], { net: ['pci'] })).toEqual(['net']);
  });

  it('ends where modules name each other', () => {
    expect(plan(['a'], { a: ['b'], b: ['a'] })).toEqual(['b', 'a']);
  });
});
