/**
 * Whether machines here run on KVM or on an emulated processor. That /dev/kvm can be opened does not say that a kernel
 * boots on it, so one is booted, once for each kernel, processor and QEMU; what came of it is remembered.
 */
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from '../../../process/runner.ts';
import type { Architecture } from '../seccomp.ts';
import { encodeArchive } from './cpio.ts';
import type { MachineKernel } from './kernels.ts';
import { type Acceleration, planTrialBoot } from './machine.ts';
import { CONSOLE } from './places.ts';

/** On KVM a kernel is there within a second; one that hangs does so for ever. */
const TRIAL_TIMEOUT_MS = 10_000;

const TRIAL_PROCESS = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
echo "${CONSOLE.ready}" >/dev/console
/bin/busybox poweroff -f
`;

export interface AccelerationHost {
  /** Whether /dev/kvm can be read and written. */
  hasDevice(): boolean;
  /** What the verdict holds for: changes with kernel, processor and emulator. */
  digest(): string;
  /** Null where nothing is remembered. */
  recall(digest: string): string | null;
  remember(digest: string, verdict: Acceleration): void;
  /** What the console said; never rejects. */
  boot(): Promise<string>;
}

/** Fail closed: anything but a kernel that said so itself is no KVM. */
export async function chooseAcceleration(host: AccelerationHost): Promise<Acceleration> {
  if (!host.hasDevice()) return 'tcg';
  const digest = host.digest();
  const known = host.recall(digest);
  if (known === 'kvm' || known === 'tcg') return known;
  const verdict = (await host.boot()).includes(CONSOLE.ready) ? 'kvm' : 'tcg';
  host.remember(digest, verdict);
  return verdict;
}

export function systemAcceleration(
  architecture: Architecture,
  kernel: MachineKernel,
  busybox: Buffer,
  cache: string,
): AccelerationHost {
  const remembered = (digest: string) => join(cache, `.acceleration-${digest}`);
  return {
    hasDevice: () => isUsable('/dev/kvm'),
    digest() {
      const { size, mtimeMs } = statSync(kernel.image);
      const processor = /^(model name|CPU part)\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0];
      const parts = [kernel.release, size, mtimeMs, processor, readFileSync('/proc/version', 'utf8')];
      return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
    },
    recall(digest) {
      try {
        return readFileSync(remembered(digest), 'utf8').trim();
      } catch {
        return null;
      }
    },
    remember(digest, verdict) {
      mkdirSync(cache, { recursive: true, mode: 0o700 });
      writeFileSync(remembered(digest), `${verdict}\n`, { mode: 0o600 });
    },
    boot: () => bootOnce(architecture, kernel, busybox),
  };
}

async function bootOnce(architecture: Architecture, kernel: MachineKernel, busybox: Buffer): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sand-trial-'));
  try {
    const initramfs = join(folder, 'initramfs');
    const archive = encodeArchive([
      { kind: 'directory', path: 'bin', mode: 0o755 },
      { kind: 'directory', path: 'dev', mode: 0o755 },
      { kind: 'file', path: 'bin/busybox', mode: 0o755, content: busybox },
      { kind: 'file', path: 'init', mode: 0o755, content: Buffer.from(TRIAL_PROCESS) },
    ]);
    writeFileSync(initramfs, archive, { mode: 0o600 });
    const [program = '', ...args] = planTrialBoot(architecture, kernel.image, initramfs);
    const { stdout } = await runTool(program, args, { timeoutMs: TRIAL_TIMEOUT_MS });
    return stdout;
  } catch {
    return '';
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isUsable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
