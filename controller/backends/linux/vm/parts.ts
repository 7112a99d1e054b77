/**
 * What of this host a VM guest needs: a kernel, QEMU with its file server, busybox and OpenSSH. Finds each, and says of what
 * is missing how to get it; what is done with them says `start.ts`.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toolPath } from '../../../process/tool-path.ts';
import type { Finding } from '../../backend.ts';
import type { Architecture } from '../seccomp.ts';
import { findKernels, type MachineKernel } from './kernels.ts';
import { emulatorName } from './machine.ts';
import { isStaticProgram } from './static-program.ts';

/** The part is `null` where it is missing. */
export interface MachineParts {
  readonly kernel: MachineKernel | null;
  /** Statically linked. */
  readonly busybox: Buffer | null;
  /** In the host's system folders, and so in the sandbox's. */
  readonly virtiofsd: string | null;
  readonly emulator: string | null;
  readonly sshClient: string | null;
  readonly sshServer: string | null;
}

/** How each is called, and what brings it. */
const REMEDIES: Readonly<Record<keyof MachineParts, { readonly what: string; readonly remedy: string }>> = {
  kernel: {
    what: 'a kernel',
    remedy: 'run `sand image create vm`, which fetches Debian\u2019s cloud kernel into sand\u2019s cache',
  },
  busybox: { what: 'a statically linked busybox', remedy: install('busybox-static') },
  virtiofsd: { what: 'virtiofsd of QEMU 7', remedy: install('qemu-system-common') },
  emulator: { what: 'QEMU', remedy: install('qemu-system-x86 (on arm64: qemu-system-arm)') },
  sshClient: { what: 'the SSH client', remedy: install('openssh-client') },
  sshServer: { what: 'the SSH server\u2019s program', remedy: install('openssh-server') },
};

const BUSYBOX: readonly string[] = ['/usr/bin/busybox', '/bin/busybox'];
/** Of QEMU up to 7.2. Its successor takes other options, and has not been tried. */
const VIRTIOFSD: readonly string[] = ['/usr/lib/qemu/virtiofsd', '/usr/libexec/qemu/virtiofsd'];
const SSH_SERVER = '/usr/sbin/sshd';

function install(name: string): string {
  return `\`apt-get install --no-install-recommends ${name}\``;
}

export function findParts(architecture: Architecture, cache: string): MachineParts {
  return {
    kernel: findKernels(architecture, cache)[0] ?? null,
    busybox: BUSYBOX.filter(isProgram).map(readProgram).find(isStaticProgram) ?? null,
    virtiofsd: VIRTIOFSD.find(isProgram) ?? null,
    emulator: inPath(emulatorName(architecture)),
    sshClient: inPath('ssh'),
    sshServer: isProgram(SSH_SERVER) ? SSH_SERVER : null,
  };
}

/** Empty where nothing is missing. */
export function missingParts(
  parts: MachineParts,
): readonly { readonly what: string; readonly remedy: string }[] {
  return (Object.keys(REMEDIES) as (keyof MachineParts)[])
    .filter((name) => parts[name] === null)
    .map((name) => REMEDIES[name]);
}

/** Doctor's: without them every guest but one with a machine of its own runs. */
export function judgeParts(parts: MachineParts): Finding {
  const check = 'isolation vm';
  const missing = missingParts(parts);
  if (missing.length === 0) {
    return { check, state: 'ok', message: `kernel ${parts.kernel?.release}`, remedy: null };
  }
  const message = `not to be had without ${missing.map(({ what }) => what).join(', ')}`;
  return { check, state: 'warning', message, remedy: missing.map(({ remedy }) => remedy).join('; ') };
}

function inPath(name: string): string | null {
  const places = toolPath(process.env).split(':');
  return places.map((folder) => join(folder, name)).find(isProgram) ?? null;
}

function readProgram(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
