/**
 * A guest's mount plan as gVisor gets it: bubblewrap makes the very same view, but below a folder of an outer
 * sandbox in which only `runsc` runs, and `runsc` serves that folder as the guest's root. Pure.
 */
import { isWithin } from '../../../guest/file-state.ts';
import type { Mount } from '../mounts.ts';

/** The guest's root as the outer sandbox sees it. Nothing of `runsc` itself lies below it. */
export const GUEST_ROOT = '/guest';
/** What `runsc` needs and the guest never sees: the program, its bundle and its state. In memory alone. */
export const OWN_FOLDER = '/sand';
export const RUNSC = `${OWN_FOLDER}/runsc`;
export const BUNDLE = `${OWN_FOLDER}/bundle`;
export const STATE = `${OWN_FOLDER}/state`;
export const PIDS = `${OWN_FOLDER}/pids`;

/** gVisor has its own kernel's; what the plan mounts at or below them guards the host's. */
const OWN_FILE_SYSTEMS: readonly string[] = ['/proc', '/dev', '/sys'];

/** Folders of the host in which `runsc`, `sh` and `setpriv` find their libraries. */
const PROGRAM_FOLDERS: readonly string[] = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/nix',
  '/gnu',
  '/run/current-system',
];

/** One entry of the `mounts` of an OCI bundle. */
export interface BundleMount {
  readonly destination: string;
  readonly type: 'bind' | 'tmpfs';
  readonly source: string;
  readonly options: readonly string[];
}

export interface ViewRequest {
  /** The guest's, as `planMounts` gives them. */
  readonly mounts: readonly Mount[];
  /** System entries of the host that exist: a folder, or a symlink with its value. */
  readonly system: readonly { readonly path: string; readonly link: string | null }[];
  /** The `runsc` program on the host. */
  readonly runsc: string;
  /** The bundle's `config.json`. */
  readonly config: string;
}

/** The outer sandbox's mounts, for bubblewrap, in order. */
export function planOuterMounts(request: ViewRequest): readonly Mount[] {
  return [
    ...request.system.filter(({ path }) => PROGRAM_FOLDERS.includes(path)).map(programMount),
    { kind: 'proc' },
    { kind: 'dev' },
    // Each of runsc's processes makes an empty root for itself there.
    { kind: 'tmpfs', target: '/tmp', mode: '0700' },
    { kind: 'tmpfs', target: OWN_FOLDER, mode: '0700' },
    ...[BUNDLE, STATE, PIDS].map((target): Mount => ({ kind: 'directory', target, mode: '0700' })),
    { kind: 'bind', source: request.runsc, target: RUNSC, writable: false },
    { kind: 'file', target: `${BUNDLE}/config.json`, content: request.config },
    { kind: 'tmpfs', target: GUEST_ROOT, mode: '0755' },
    ...OWN_FILE_SYSTEMS.map(
      (path): Mount => ({ kind: 'directory', target: `${GUEST_ROOT}${path}`, mode: '0755' }),
    ),
    ...request.mounts.filter(isServed).map(moveBelowRoot),
  ];
}

function programMount(entry: ViewRequest['system'][number]): Mount {
  if (entry.link !== null) return { kind: 'symlink', value: entry.link, target: entry.path };
  return { kind: 'bind', source: entry.path, target: entry.path, writable: false };
}

/** Whether the guest gets it from bubblewrap's view. */
function isServed(mount: Mount): boolean {
  if (!('target' in mount)) return false;
  return !OWN_FILE_SYSTEMS.some((path) => isWithin(mount.target, path));
}

function moveBelowRoot(mount: Mount): Mount {
  return 'target' in mount ? { ...mount, target: `${GUEST_ROOT}${mount.target}` } : mount;
}

/**
 * gVisor keeps what it has read of the guest's root, which nobody else writes. What the host can write as well
 * is a mount of its own, which is asked anew each time; the view's read-only mounts inside it come along.
 */
export function planBundleMounts(mounts: readonly Mount[]): readonly BundleMount[] {
  const shared = mounts.flatMap((mount) =>
    mount.kind === 'bind' && mount.writable && isServed(mount) ? [mount.target] : [],
  );
  const outermost = [...new Set(shared)].filter(
    (target) => !shared.some((other) => other !== target && isWithin(target, other)),
  );
  return [
    { destination: '/dev/shm', type: 'tmpfs', source: 'tmpfs', options: ['mode=1777'] },
    ...outermost.map((destination): BundleMount => {
      const source = `${GUEST_ROOT}${destination}`;
      return { destination, type: 'bind', source, options: ['rbind', 'rw'] };
    }),
  ];
}
