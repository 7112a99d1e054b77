/** Reads from the host what `plan.ts` decides by. Changes nothing. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { baseOf, type LocatedCgroup, locateCgroups, parseCgroupMounts } from './places.ts';
import type { CgroupFacts, CgroupPlace } from './plan.ts';

/** Processes above sand's own: a login, a shell, a package manager; a chain longer than this is none of people. */
const LINEAGE_LENGTH = 64;

/** The host as it is read; a test replaces it. */
export interface ResourceHost {
  readonly uid: number;
  readonly pid: number;
  readonly runtimeFolder: string | null;
  /** Null where it cannot be read. */
  readText(path: string): string | null;
  /** Or why it cannot be written. */
  writable(path: string): 'yes' | 'no' | 'read-only';
}

export function systemResourceHost(environ: Readonly<Record<string, string | undefined>>): ResourceHost {
  return {
    uid: process.geteuid?.() ?? -1,
    pid: process.pid,
    runtimeFolder: environ.XDG_RUNTIME_DIR ?? null,
    readText(path) {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return null;
      }
    },
    writable(path) {
      try {
        accessSync(path, constants.W_OK);
        return 'yes';
      } catch (error) {
        return error instanceof Error && Reflect.get(error, 'code') === 'EROFS' ? 'read-only' : 'no';
      }
    },
  };
}

export function readCgroupFacts(host: ResourceHost): CgroupFacts {
  const mounts = parseCgroupMounts(host.readText('/proc/self/mountinfo') ?? '');
  const located = locateCgroups(host.readText('/proc/self/cgroup') ?? '', mounts);
  const places = located.map((group) => readPlace(host, group));
  const runtime = host.runtimeFolder ?? `/run/user/${host.uid}`;
  return {
    root: host.uid === 0,
    // The newer version first: a controller is in one of them only, and names may be in both.
    places: places.toSorted((a, b) => b.version - a.version),
    lineage: readLineage(host),
    userManager: host.writable(`${runtime}/systemd/private`) !== 'no',
    systemManager: host.readText('/proc/1/comm')?.trim() === 'systemd',
    swap: (host.readText('/proc/swaps') ?? '').trim().split('\n').length > 1,
  };
}

function readPlace(host: ResourceHost, { version, controllers, directory }: LocatedCgroup): CgroupPlace {
  const base = version === 2 ? baseOf(directory) : directory;
  const words = (file: string) =>
    (host.readText(`${base}/${file}`) ?? '').split(/\s+/).filter((word) => word !== '');
  const needed = version === 2 ? ['', '/cgroup.procs', '/cgroup.subtree_control'] : ['', '/cgroup.procs'];
  const access = needed.map((file) => host.writable(`${base}${file}`));
  return {
    version,
    directory: base,
    inLeaf: base !== directory,
    controllers: version === 2 ? words('cgroup.controllers') : controllers,
    enabled: version === 2 ? words('cgroup.subtree_control') : [],
    // Every group but the kernel's own root has a type.
    top: version === 2 && host.readText(`${base}/cgroup.type`) === null,
    processes: version === 2 ? words('cgroup.procs').map(Number) : [],
    writable: access.every((one) => one === 'yes'),
    readOnly: access.includes('read-only'),
  };
}

export function readLineage(host: Pick<ResourceHost, 'pid' | 'readText'>): readonly number[] {
  const lineage: number[] = [];
  for (let pid = host.pid; pid > 0 && lineage.length < LINEAGE_LENGTH; ) {
    lineage.push(pid);
    const stat = host.readText(`/proc/${pid}/stat`) ?? '';
    // The name before it may hold anything, parentheses and spaces too.
    pid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0) || 0;
  }
  return lineage;
}
