/**
 * Finds the kernels that a VM guest's machine can boot, and reads one with the modules it needs: those that
 * `kernel-package.ts` has unpacked into sand's cache, and cloud kernels of Debian that are installed.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Architecture } from '../seccomp.ts';
import { moduleDependencies, moduleName, planModules, WANTED_MODULES } from './kernel-modules.ts';

export interface MachineKernel {
  /** As `uname -r` says it. */
  readonly release: string;
  /** On the host. */
  readonly image: string;
  readonly modules: string;
}

export interface LoadedModule {
  readonly name: string;
  readonly content: Buffer;
}

/** A kernel has some hundred folders of modules, in four levels. */
const FOLDER_DEPTH = 12;

/** Debian's names, in package and file names. */
export const DEBIAN_NAMES: Readonly<Record<Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Below the folder that keeps sand's caches. */
export function kernelCache(environ: Readonly<Record<string, string | undefined>>): string {
  const base = environ.XDG_CACHE_HOME ?? '';
  const home = environ.HOME ?? homedir();
  return join(isAbsolute(base) ? base : join(home, '.cache'), 'sand', 'vm');
}

/** Newest first. */
export function findKernels(architecture: Architecture, cache: string): readonly MachineKernel[] {
  const cached = entriesOf(cache).map(
    (release): MachineKernel => ({
      release,
      image: join(cache, release, 'vmlinuz'),
      modules: join(cache, release, 'modules'),
    }),
  );
  const suffix = `-cloud-${DEBIAN_NAMES[architecture]}`;
  const installed = entriesOf('/boot')
    .filter((name) => name.startsWith('vmlinuz-'))
    .map((name) => name.slice('vmlinuz-'.length))
    .map(
      (release): MachineKernel => ({
        release,
        image: join('/boot', `vmlinuz-${release}`),
        modules: join('/lib/modules', release, 'kernel'),
      }),
    );
  return [...cached, ...installed]
    .filter(
      ({ release, image, modules }) => release.endsWith(suffix) && existsSync(image) && existsSync(modules),
    )
    .toSorted((a, b) => compareReleases(b.release, a.release));
}

/** Numbers between any signs, as far as both have them. */
export function compareReleases(a: string, b: string): number {
  const [left, right] = [a, b].map((release) => (release.match(/\d+/g) ?? []).map(Number));
  for (let at = 0; at < Math.max(left?.length ?? 0, right?.length ?? 0); at += 1) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

/** Compressed modules are not read: those of `kernel-package.ts` are not, and neither are Debian 12's. */
export function readModules(kernel: MachineKernel): readonly LoadedModule[] {
  const files = new Map(moduleFiles(kernel.modules).map((file) => [moduleName(file), file]));
  const contents = new Map<string, Buffer>();
  const read = (name: string): Buffer | null => {
    const file = files.get(name);
    if (file === undefined) return null;
    const content = contents.get(name) ?? readFileSync(file);
    contents.set(name, content);
    return content;
  };
  const order = planModules(WANTED_MODULES, (name) => {
    const content = read(name);
    return content === null ? null : moduleDependencies(content);
  });
  return order.flatMap((name) => {
    const content = read(name);
    return content === null ? [] : [{ name, content }];
  });
}

function moduleFiles(folder: string, depth = FOLDER_DEPTH): readonly string[] {
  if (depth === 0 || !existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return moduleFiles(path, depth - 1);
    return entry.name.endsWith('.ko') ? [path] : [];
  });
}

function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
