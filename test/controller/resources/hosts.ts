/** Hosts with control groups as plain values: what sand reads of a systemd machine, of a hybrid one, of a container. */
import type { CgroupFacts, CgroupPlace } from '../../../controller/resources/plan.ts';

export const SCOPE = '/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope';
export const SAND_PID = 400;
export const SHELL_PID = 300;

export const scope = (changes: Partial<CgroupPlace> = {}): CgroupPlace => ({
  version: 2,
  directory: SCOPE,
  inLeaf: false,
  controllers: ['cpu', 'memory', 'pids'],
  enabled: [],
  top: false,
  processes: [SAND_PID],
  writable: true,
  readOnly: false,
  ...changes,
});

export const legacy = (controller: string, changes: Partial<CgroupPlace> = {}): CgroupPlace => ({
  version: 1,
  directory: `/sys/fs/cgroup/${controller}`,
  inLeaf: false,
  controllers: [controller],
  enabled: [],
  top: false,
  processes: [],
  writable: true,
  readOnly: false,
  ...changes,
});

export const facts = (places: readonly CgroupPlace[], changes: Partial<CgroupFacts> = {}): CgroupFacts => ({
  root: false,
  places,
  lineage: [SAND_PID, SHELL_PID, 1],
  userManager: true,
  systemManager: true,
  swap: false,
  ...changes,
});
