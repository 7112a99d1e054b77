/**
 * Where in the host's control groups sand itself stands: /proc/self/cgroup and /proc/self/mountinfo → folders.
 * Whether a guest can get a group there is for `plan.ts`. Pure.
 */
import { posix } from 'node:path';
import type { CgroupVersion } from './table.ts';

/** Processes of a delegated group that a guest's limits need out of the way are moved into this one below it. */
export const LEAF_NAME = 'sand-callers';
const GUEST_PREFIX = 'sand-guest-';

export interface CgroupMount {
  readonly version: CgroupVersion;
  /** Of version 1; version 2 says it in each group. */
  readonly controllers: readonly string[];
  /** The group that is mounted. */
  readonly root: string;
  readonly target: string;
}

export interface LocatedCgroup {
  readonly version: CgroupVersion;
  readonly controllers: readonly string[];
  /** The folder of sand's own group. */
  readonly directory: string;
}

/** Options of a version 1 mount that are no controllers. */
const NO_CONTROLLERS = /^(ro|rw|xattr|clone_children|noprefix|release_agent=.*|name=.*)$/;

/** See proc(5); the fields before the dash vary in number. */
export function parseCgroupMounts(mountinfo: string): readonly CgroupMount[] {
  return mountinfo.split('\n').flatMap((line): readonly CgroupMount[] => {
    const [before = '', after = ''] = line.split(' - ', 2);
    const [, , , root = '', target = ''] = before.split(' ').map(decodeOctal);
    const [type, , options = ''] = after.split(' ');
    if (type === 'cgroup2') return [{ version: 2, controllers: [], root, target }];
    if (type !== 'cgroup') return [];
    const controllers = options.split(',').filter((option) => !NO_CONTROLLERS.test(option));
    return [{ version: 1, controllers, root, target }];
  });
}

function decodeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Lines of `ID:CONTROLLERS:PATH`; those whose group no mount shows are left out. */
export function locateCgroups(cgroup: string, mounts: readonly CgroupMount[]): readonly LocatedCgroup[] {
  return cgroup.split('\n').flatMap((line) => {
    const [, id, names = '', path = ''] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (id === undefined) return [];
    const version = id === '0' && names === '' ? 2 : 1;
    const controllers = names.split(',').filter((name) => name !== '');
    const mount = mounts.find(
      (one) =>
        one.version === version &&
        (version === 2 || controllers.some((name) => one.controllers.includes(name))),
    );
    const directory = mount === undefined ? null : folderOf(path, mount);
    return directory === null ? [] : [{ version, controllers, directory }];
  });
}

/** Null where the group lies outside of what is mounted. */
function folderOf(path: string, { root, target }: CgroupMount): string | null {
  if (path.split('/').includes('..')) return null;
  if (root === '/') return posix.join(target, path).replace(/(?<=.)\/$/, '');
  if (path !== root && !path.startsWith(`${root}/`)) return null;
  return `${target}${path.slice(root.length)}`;
}

/** Where the groups of guests go: beside the leaf when sand stands in that already. */
export function baseOf(directory: string): string {
  return posix.basename(directory) === LEAF_NAME ? posix.dirname(directory) : directory;
}

export function guestDirectory(base: string, guest: string): string {
  return `${base}/${GUEST_PREFIX}${guest}`;
}

/**
 * Whether sand may kill and remove what is in that folder: one of its own names directly in a group of a mounted
 * hierarchy, written plainly.
 */
export function isOwnCgroup(path: string, mounts: readonly CgroupMount[]): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const own = name === LEAF_NAME || /^sand-guest-[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name);
  if (!own || posix.normalize(path) !== path) return false;
  return mounts.some(({ target }) => path.startsWith(target === '/' ? '/' : `${target}/`));
}

export function isGuestName(name: string): boolean {
  return name.startsWith(GUEST_PREFIX);
}
