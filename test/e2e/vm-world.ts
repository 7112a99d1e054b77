/** A world whose guests can have a machine of their own, and what of that this machine lacks. */
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findKernels, kernelCache } from '../../controller/backends/linux/vm/kernels.ts';
import { createWorld, type Who, type World } from './sand.ts';

const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'x64';
export const EMULATOR = ARCHITECTURE === 'x64' ? 'qemu-system-x86_64' : 'qemu-system-aarch64';
export const KERNEL = findKernels(ARCHITECTURE, kernelCache(process.env))[0];
const PARTS = [`/usr/bin/${EMULATOR}`, '/usr/lib/qemu/virtiofsd', '/usr/bin/busybox', '/usr/sbin/sshd'];
const missing = [
  ...PARTS.filter((path) => !existsSync(path)),
  ...(KERNEL === undefined ? ['a kernel (sand image create vm)'] : []),
];
export const HAS_MACHINE = missing.length === 0;
/** A kernel that needs no cache. */
export const HAS_INSTALLED = findKernels(ARCHITECTURE, '/nonexistent').length > 0;
/** For the names of tests that are skipped. */
export const WITHOUT_MACHINE = HAS_MACHINE ? '' : ` (skipped: there is no ${missing.join(', no ')})`;

/** With the machine's kernel where its user's `sand image create vm` would have put it. */
export function createMachineWorld(who: Who): World {
  const world = createWorld(who);
  if (KERNEL === undefined) return world;
  const kept = join(world.root, 'cache/sand/vm', KERNEL.release);
  mkdirSync(join(kept, 'modules'), { recursive: true });
  cpSync(KERNEL.image, join(kept, 'vmlinuz'));
  cpSync(KERNEL.modules, join(kept, 'modules'), { recursive: true });
  return world;
}
