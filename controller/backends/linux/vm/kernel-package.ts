/**
 * Fetches Debian's cloud kernel into sand's cache, as a file and a folder of modules: the package is downloaded and unpacked,
 * not installed, so the host's own kernel is left alone and no right is needed. apt checks its signature chain.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { SandError } from '../../../errors.ts';
import { runTool } from '../../../process/runner.ts';
import type { Architecture } from '../seccomp.ts';
import { DEBIAN_NAMES, findKernels, kernelCache, type MachineKernel, readModules } from './kernels.ts';

/** 27 MB; a slow line takes minutes. */
const DOWNLOAD_TIMEOUT_MS = 15 * 60_000;
const TOOL_TIMEOUT_MS = 120_000;
/** Without a lock of its own, two at once would unpack the same into folders of their own; the later rename loses. */
const UNPACK = `cd "$1" && apt-get --quiet=2 download "$2" && dpkg -x ./*.deb tree && rm ./*.deb &&
  find tree -name '*.ko.xz' -exec xz --decompress '{}' +`;

/** For the architecture and in the cache of whoever calls. Raises `backend-unavailable` where there are no VM guests. */
export async function createOwnKernel(
  platform: string,
  architecture: string,
  environ: Readonly<Record<string, string | undefined>>,
  say: (line: string) => void,
): Promise<MachineKernel> {
  if (platform === 'linux' && (architecture === 'x64' || architecture === 'arm64')) {
    return installKernel(architecture, kernelCache(environ), say);
  }
  throw new SandError(
    'backend-unavailable',
    `there is no kernel of VM guests for ${platform} on ${architecture}`,
    'use Linux on x86-64 or arm64',
  );
}

/** Idempotent: gives the kernel that is there when it is the newest that apt knows. `say` gets lines for the user. */
export async function installKernel(
  architecture: Architecture,
  cache: string,
  say: (line: string) => void,
): Promise<MachineKernel> {
  const metaPackage = `linux-image-cloud-${DEBIAN_NAMES[architecture]}`;
  const described = await runTool('apt-cache', ['depends', metaPackage], { timeoutMs: TOOL_TIMEOUT_MS });
  const name = packageOf(described.stdout);
  if (name === null) {
    throw new SandError(
      'tool-failed',
      `apt knows no package ${metaPackage}`,
      'run `sudo apt-get update` on Debian; elsewhere put a Debian cloud kernel into /boot and /lib/modules',
    );
  }
  const release = name.slice('linux-image-'.length);
  const known = findKernels(architecture, cache).find((kernel) => kernel.release === release);
  if (known !== undefined) return known;
  say(`downloading ${name} with apt-get (27 MB), to unpack it into ${cache}; nothing is installed`);
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const work = mkdtempSync(join(cache, '.unpacking-'));
  try {
    const fetched = await runTool('sh', ['-c', UNPACK, 'sand', work, name], {
      timeoutMs: DOWNLOAD_TIMEOUT_MS,
    });
    if (fetched.exitCode !== 0) throw unpackFailed(name, fetched.stderr);
    return keepKernel(release, join(work, 'tree'), cache);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** `apt-cache depends`: the versioned package is the one thing that the meta package depends on. */
export function packageOf(described: string): string | null {
  return /^\s*Depends: (linux-image-\d[a-z0-9.+-]*)$/m.exec(described)?.[1] ?? null;
}

/** The image and the dozen modules that are loaded, of the hundreds that the package has. */
function keepKernel(release: string, tree: string, cache: string): MachineKernel {
  const image = join(tree, 'boot', `vmlinuz-${release}`);
  const libraries = ['lib', 'usr/lib'].map((folder) => join(tree, folder, 'modules', release, 'kernel'));
  const modules = libraries.find((folder) => existsSync(folder)) ?? '';
  if (modules === '' || !existsSync(image)) throw unpackFailed(release, readdirSync(tree).join(' '));
  const made = mkdtempSync(join(cache, '.kernel-'));
  mkdirSync(join(made, 'modules'));
  copyFileSync(image, join(made, 'vmlinuz'));
  for (const { name, content } of readModules({ release, image, modules })) {
    writeFileSync(join(made, 'modules', `${name}.ko`), content);
  }
  const kept = join(cache, release);
  rmSync(kept, { recursive: true, force: true });
  renameSync(made, kept);
  return { release, image: join(kept, 'vmlinuz'), modules: join(kept, 'modules') };
}

function unpackFailed(name: string, said: string): SandError {
  return new SandError(
    'tool-failed',
    `the kernel package ${name} could not be unpacked: ${said.trim()}`,
    'look at what apt says: `apt-get download` of that package by hand',
  );
}
