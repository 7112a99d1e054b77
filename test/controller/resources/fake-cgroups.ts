/**
 * Control groups of version 2 in memory, with the kernel's rules that matter here: no inner processes, files that come
 * with their controller, folders that stay while something is in them. Also of version 1, where there is no kill.
 */
import { posix } from 'node:path';
import type { CgroupIo } from '../../../controller/resources/cgroup.ts';
import type { CgroupVersion } from '../../../controller/resources/table.ts';

export interface FakeGroup {
  readonly processes: Set<number>;
  readonly enabled: Set<string>;
  readonly files: Map<string, string>;
}

export interface FakeCgroups extends CgroupIo {
  readonly groups: Map<string, FakeGroup>;
  /** Every call that changes something, as it was made. */
  readonly calls: string[];
  readonly killed: number[];
  /** Called before each change with its number; throwing makes it fail. */
  before: (call: string, at: number) => void;
  /** What happens while somebody waits. */
  waiting: () => void;
}

export const MOUNT = '/sys/fs/cgroup';

export function createFakeCgroups(version: CgroupVersion, lineage: readonly number[]): FakeCgroups {
  const groups = new Map<string, FakeGroup>();
  const calls: string[] = [];
  const killed: number[] = [];
  const group = (path: string): FakeGroup => {
    const found = groups.get(path);
    if (found === undefined) throw failure('ENOENT', path);
    return found;
  };
  const changes = (call: string) => {
    calls.push(call);
    fake.before(call, calls.length);
  };
  const has = (path: string, file: string): boolean => {
    const controller = file.split('.')[0] ?? '';
    if (controller === 'cgroup') return file !== 'cgroup.kill' || version === 2;
    return version === 1 || groups.get(posix.dirname(path))?.enabled.has(controller) === true;
  };
  const control = (path: string, value: string) => {
    for (const word of value.split(' ')) {
      const name = word.slice(1);
      if (word.startsWith('-')) group(path).enabled.delete(name);
      else if (path !== MOUNT && group(path).processes.size > 0) throw failure('EBUSY', path);
      else group(path).enabled.add(name);
    }
  };
  const join = (path: string, pid: number) => {
    if (path !== MOUNT && group(path).enabled.size > 0) throw failure('EBUSY', path);
    const from = [...groups.values()].find(({ processes }) => processes.has(pid));
    if (from === undefined) throw failure('ESRCH', path);
    from.processes.delete(pid);
    group(path).processes.add(pid);
  };
  const fake: FakeCgroups = {
    groups,
    calls,
    killed,
    before: () => {},
    waiting: () => {},
    makeDirectory(path) {
      changes(`mkdir ${path}`);
      group(posix.dirname(path));
      if (groups.has(path)) throw failure('EEXIST', path);
      groups.set(path, emptyGroup());
    },
    removeDirectory(path) {
      changes(`rmdir ${path}`);
      const inside = [...groups.keys()].some((other) => other.startsWith(`${path}/`));
      if (group(path).processes.size > 0 || inside) throw failure('EBUSY', path);
      groups.delete(path);
    },
    write(path, value) {
      changes(`write ${path} ${value}`);
      const [folder, file] = [posix.dirname(path), posix.basename(path)];
      const target = group(folder);
      if (!has(folder, file)) throw failure('ENOENT', path);
      if (file === 'cgroup.subtree_control') control(folder, value);
      else if (file === 'cgroup.procs') join(folder, Number(value));
      else if (file === 'cgroup.kill') for (const pid of target.processes) fake.kill(pid);
      else target.files.set(file, value);
    },
    read(path) {
      const [folder, file] = [posix.dirname(path), posix.basename(path)];
      const target = group(folder);
      if (file === 'cgroup.procs') return [...target.processes].map((pid) => `${pid}\n`).join('');
      if (file === 'cgroup.subtree_control') return `${[...target.enabled].join(' ')}\n`;
      const text = target.files.get(file);
      if (text === undefined) throw failure('ENOENT', path);
      return text;
    },
    entries: (path) =>
      [...groups.keys()]
        .filter((other) => posix.dirname(other) === path)
        .map((other) => posix.basename(other)),
    real(path) {
      group(path);
      return path;
    },
    kill(pid) {
      killed.push(pid);
      for (const { processes } of groups.values()) processes.delete(pid);
    },
    mountinfo: () => `40 30 0:37 / ${MOUNT} rw - ${version === 2 ? 'cgroup2' : 'cgroup'} none rw,memory\n`,
    lineage: () => lineage,
    pause: async () => fake.waiting(),
  };
  groups.set(MOUNT, emptyGroup());
  return fake;
}

export function emptyGroup(): FakeGroup {
  return { processes: new Set(), enabled: new Set(), files: new Map() };
}

export function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
