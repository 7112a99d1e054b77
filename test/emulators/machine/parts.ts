/** What of a host a machine needs, and what of that is not there. */
import { existsSync } from 'node:fs';
import { findKernel } from './kernel.ts';

export const EMULATOR = 'qemu-system-x86_64';
export const BUSYBOX = '/bin/busybox';
/** Of Debian's package of QEMU 7. */
export const FILE_SERVER = '/usr/lib/qemu/virtiofsd';

/** Empty where guests can have machines. */
export function missingParts(): readonly string[] {
  if (process.platform !== 'linux' || process.arch !== 'x64') return ['Linux on x86-64'];
  return [
    ...(process.getuid?.() === 0 ? [] : ['root']),
    ...[`/usr/bin/${EMULATOR}`, BUSYBOX, FILE_SERVER].filter((path) => !existsSync(path)),
    ...(findKernel() === null ? ['kernel'] : []),
  ];
}
