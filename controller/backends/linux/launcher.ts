/**
 * The programs of the host that start commands in a guest of an image, which may have neither a shell nor a C
 * library, at one read-only place in the guest: bubblewrap, a shell and three small tools, with the libraries
 * that they need and the loader that finds them there. From what `ldd` says of them. Pure.
 */
import { SandError } from '../../errors.ts';
import type { Mount } from './mounts.ts';

/** What a guest's commands are started with; each is the beginning of an argument list. Plain data, for a guest's handle. */
export interface Launcher {
  readonly bubblewrap: readonly string[];
  readonly shell: readonly string[];
  readonly cat: readonly string[];
  readonly readlink: readonly string[];
  readonly env: readonly string[];
}

/** Where a guest sees the host's system these are simply there. */
export const HOST_LAUNCHER: Launcher = {
  bubblewrap: ['bwrap'],
  shell: ['/bin/sh'],
  cat: ['cat'],
  readlink: ['readlink'],
  env: ['/usr/bin/env'],
};

export interface LauncherPlan {
  readonly launcher: Launcher;
  readonly mounts: readonly Mount[];
}

/** A mount of its own, sealed: a guest that could rename or write it would choose what starts its next command. */
export const RESERVED = '/run/sand';
const PLACE = `${RESERVED}/launch`;

export const LAUNCHER_PROGRAMS = ['bwrap', 'sh', 'cat', 'readlink', 'env'] as const;
export type LauncherProgram = (typeof LAUNCHER_PROGRAMS)[number];

export interface LinkedProgram {
  readonly program: LauncherProgram;
  /** Real path on the host. */
  readonly path: string;
  /** What `ldd` printed of it. */
  readonly linked: string;
}

export interface Libraries {
  /** By the name that programs ask for. */
  readonly libraries: ReadonlyMap<string, string>;
  /** Null for a program that is linked statically. */
  readonly loader: string | null;
}

const LOADER = /(^|\/)ld[-.0-9a-z_]*\.so(\.[0-9]+)?$/;

/** Of glibc's `ldd` and of musl's. Null where a library is missing or a line is none that they print. */
export function parseLdd(text: string): Libraries | null {
  const libraries = new Map<string, string>();
  let loader: string | null = null;
  for (const line of text.split('\n').map((part) => part.trim())) {
    if (line === '' || /^(linux-vdso|linux-gate)\.so/.test(line)) continue;
    if (/^(statically linked|not a dynamic executable)$/.test(line)) continue;
    const [, name, path] = /^(?:(\S+) => )?(\/\S+)(?: \(0x[0-9a-f]+\))?$/.exec(line) ?? [];
    if (path === undefined) return null;
    if (LOADER.test(path)) loader = path;
    else libraries.set(name ?? path.slice(path.lastIndexOf('/') + 1), path);
  }
  return { libraries, loader };
}

/** Raises `backend-unavailable` where the programs cannot be brought along. */
export function planLauncher(programs: readonly LinkedProgram[]): LauncherPlan {
  const libraries = new Map<string, string>();
  const loaders = new Set<string>();
  const starts = new Map<LauncherProgram, readonly string[]>();
  for (const { program, path, linked } of programs) {
    const parsed = parseLdd(linked);
    if (parsed === null) throw unavailable(`what ${path} is linked with does not read`);
    for (const [name, library] of parsed.libraries) {
      if ((libraries.get(name) ?? library) !== library) throw unavailable(`two libraries are called ${name}`);
      libraries.set(name, library);
    }
    if (parsed.loader !== null) loaders.add(parsed.loader);
    starts.set(program, [...loading(parsed.loader), `${PLACE}/bin/${program}`]);
  }
  if (loaders.size > 1) throw unavailable(`they want several loaders (${[...loaders].join(', ')})`);
  const start = (program: LauncherProgram): readonly string[] => {
    const found = starts.get(program);
    if (found === undefined) throw unavailable(`${program} is not on this machine`);
    return found;
  };
  return {
    launcher: {
      bubblewrap: start('bwrap'),
      shell: start('sh'),
      cat: start('cat'),
      readlink: start('readlink'),
      env: start('env'),
    },
    mounts: [
      ...[...loaders].map((source) => file(source, `${PLACE}/ld.so`)),
      ...[...libraries].map(([name, source]) => file(source, `${PLACE}/lib/${name}`)),
      ...programs.map(({ program, path }) => file(path, `${PLACE}/bin/${program}`)),
    ],
  };
}

/** The image's own list of libraries is not read: it is the guest's to write. */
function loading(loader: string | null): readonly string[] {
  if (loader === null) return [];
  const options = loader.includes('musl') ? [] : ['--inhibit-cache'];
  return [`${PLACE}/ld.so`, ...options, '--library-path', `${PLACE}/lib`];
}

function file(source: string, target: string): Mount {
  return { kind: 'bind', source, target, writable: false };
}

function unavailable(why: string): SandError {
  return new SandError(
    'backend-unavailable',
    `the programs that start commands in an image cannot be given to the guest: ${why}`,
    'run without --image, and report this with the output of `ldd /usr/bin/bwrap /bin/sh`',
  );
}
