/**
 * Carries out what `plan.ts` decided: makes a guest's control groups, reads what they counted, and removes them with
 * whatever still runs in them. Touches no folder but sand's own in a mounted hierarchy.
 */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { SandError } from '../errors.ts';
import { readLineage, systemResourceHost } from './host.ts';
import { isGuestName, isOwnCgroup, LEAF_NAME, parseCgroupMounts } from './places.ts';
import { type CgroupPlan, cgroupPaths, type Preparation } from './plan.ts';
import { parseUsage, type ResourceUsage } from './usage.ts';

export const CGROUP_BOUNDS = {
  /** Processes of the caller's may fork while they are moved; each round moves all that it finds. */
  moveRounds: 20,
  /** A killed process leaves its group within milliseconds, under memory pressure within seconds. */
  removeRounds: 200,
  removePauseMs: 25,
} as const;

/** The calls on the kernel's file system; a test replaces them. Each raises what `node:fs` raises. */
export interface CgroupIo {
  makeDirectory(path: string): void;
  removeDirectory(path: string): void;
  /** Into a file that is there. */
  write(path: string, value: string): void;
  read(path: string): string;
  entries(path: string): readonly string[];
  /** With no symlink in it. */
  real(path: string): string;
  kill(pid: number): void;
  mountinfo(): string;
  /** This process and those that it descends from. */
  lineage(): readonly number[];
  pause(timeMs: number): Promise<void>;
}

export const systemCgroupIo: CgroupIo = {
  makeDirectory: (path) => mkdirSync(path),
  removeDirectory: (path) => rmdirSync(path),
  write(path, value) {
    const file = openSync(path, constants.O_WRONLY);
    try {
      writeSync(file, value);
    } finally {
      closeSync(file);
    }
  },
  read: (path) => readFileSync(path, 'utf8'),
  entries: (path) => readdirSync(path),
  real: (path) => realpathSync(path),
  kill: (pid) => process.kill(pid, 'SIGKILL'),
  mountinfo: () => readFileSync('/proc/self/mountinfo', 'utf8'),
  lineage: () => readLineage(systemResourceHost(process.env)),
  pause: (timeMs) => new Promise((resolve) => setTimeout(resolve, timeMs)),
};

/**
 * Before they are written into a journal, by which they would be removed: that none of them is another guest's. Raises
 * `resources-unavailable`.
 */
export function requireFree(plan: CgroupPlan, io: CgroupIo = systemCgroupIo): void {
  for (const directory of plan.directories) {
    if (ignoring(['ENOENT'], () => io.real(directory)) === undefined) continue;
    throw new SandError(
      'resources-unavailable',
      `the control group ${directory} is there already`,
      hintFor('EEXIST'),
    );
  }
}

/**
 * Makes the groups and sets their limits. Whoever calls has written `cgroupPaths` into its journal. Raises
 * `resources-unavailable`, and has undone itself then.
 */
export async function createCgroups(plan: CgroupPlan, io: CgroupIo = systemCgroupIo): Promise<void> {
  const made: string[] = [];
  try {
    if (plan.preparation !== null) prepare(plan.preparation, made, io);
    for (const directory of plan.directories) {
      step(directory, () => io.makeDirectory(directory));
      made.push(directory);
    }
    for (const { path, value, optional } of plan.writes) {
      step(`${path} (${value})`, () => {
        try {
          io.write(path, value);
        } catch (error) {
          // Fail closed: only a file that may be missing may be missing.
          if (!optional || codeOf(error) !== 'ENOENT') throw error;
        }
      });
    }
  } catch (error) {
    await removeCgroups(made.reverse(), io).catch(() => {});
    throw error;
  }
}

function prepare({ base, controllers, leaf, lineage }: Preparation, made: string[], io: CgroupIo): void {
  const handOn = () => {
    if (controllers.length === 0) return;
    io.write(`${base}/cgroup.subtree_control`, controllers.map((name) => `+${name}`).join(' '));
  };
  if (leaf === null) {
    step(`${base}/cgroup.subtree_control`, handOn);
    return;
  }
  step(leaf, () => {
    try {
      io.makeDirectory(leaf);
      made.push(leaf);
    } catch (error) {
      // Another sand of the same place was first.
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    moveAll(base, leaf, lineage, io);
    handOn();
  });
}

/** Of `only` these; null: all. */
function moveAll(from: string, to: string, only: readonly number[] | null, io: CgroupIo): void {
  for (let round = 0; round < CGROUP_BOUNDS.moveRounds; round += 1) {
    const pids = processesOf(from, io).filter((pid) => only === null || only.includes(pid));
    if (pids.length === 0) return;
    for (const pid of pids) ignoring(['ESRCH'], () => io.write(`${to}/cgroup.procs`, String(pid)));
  }
}

function step(what: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    throw new SandError(
      'resources-unavailable',
      `the guest\u2019s limits cannot be set: ${what}: ${error instanceof Error ? error.message : error}`,
      hintFor(codeOf(error)),
      { cause: error },
    );
  }
}

function hintFor(code: string): string {
  switch (code) {
    case 'EEXIST':
      return 'a guest of that name has left its control group; run `sand prune`, or name this one otherwise';
    case 'EBUSY':
      return 'other processes run in sand\u2019s own control group; start it as `systemd-run --user --scope -p Delegate=yes sand run \u2026`';
    case 'EINVAL':
      return 'what sand runs in allows less than that; ask for less';
    default:
      return 'run `sand doctor`: it says which limits hold here; or leave the limit out';
  }
}

/** What the guest's groups counted; nulls where there are none any more. */
export function readUsage(directories: readonly string[], io: CgroupIo = systemCgroupIo): ResourceUsage {
  return parseUsage((file) => {
    for (const directory of directories) {
      try {
        return io.read(`${directory}/${file}`);
      } catch {
        // Another group of the same guest has it, or none.
      }
    }
    return null;
  });
}

/**
 * Kills what is left in the groups and removes them, in this order; those that are gone already are done. For the end
 * of a guest and for what a killed supervisor left behind alike. Raises `teardown-failed` at the end, having tried all.
 */
export async function removeCgroups(paths: readonly string[], io: CgroupIo = systemCgroupIo): Promise<void> {
  const mounts = parseCgroupMounts(io.mountinfo());
  const failures: string[] = [];
  for (const path of paths) {
    try {
      const real = ignoring(['ENOENT'], () => io.real(path));
      if (real === undefined) continue;
      // Fail closed: the path may come from a file, and what is in a group is killed.
      if (real !== path || !isOwnCgroup(path, mounts)) throw new Error('no control group that sand made');
      if (path.endsWith(`/${LEAF_NAME}`)) await removeLeaf(path, io);
      else await removeGuest(path, io);
    } catch (error) {
      failures.push(`${path}: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (failures.length === 0) return;
  throw new SandError(
    'teardown-failed',
    `control groups of the guest stay: ${failures.join('; ')}`,
    'end what runs in them (their cgroup.procs names it), and remove the folders with rmdir',
    { details: { paths: failures } },
  );
}

async function removeGuest(path: string, io: CgroupIo): Promise<void> {
  let last: unknown = null;
  for (let round = 0; round < CGROUP_BOUNDS.removeRounds; round += 1) {
    killAll(path, io);
    try {
      ignoring(['ENOENT'], () => io.removeDirectory(path));
      return;
    } catch (error) {
      if (codeOf(error) !== 'EBUSY') throw error;
      last = error;
    }
    await io.pause(CGROUP_BOUNDS.removePauseMs);
  }
  throw last;
}

/** Version 2 has a file for it, which leaves no process out; else those that are there, round by round. */
function killAll(path: string, io: CgroupIo): void {
  try {
    io.write(`${path}/cgroup.kill`, '1');
    return;
  } catch {
    // Version 1, or a kernel older than 5.14.
  }
  for (const pid of processesOf(path, io)) {
    // 0 is a process that this one cannot see: in kill(2) it would be everybody.
    if (pid > 0) ignoring(['ESRCH', 'EPERM'], () => io.kill(pid));
  }
}

/**
 * Gives the processes back to the group that they came from, unless another guest or another caller needs it as it is.
 */
async function removeLeaf(leaf: string, io: CgroupIo): Promise<void> {
  const base = dirname(leaf);
  const guests = () => io.entries(base).filter(isGuestName);
  const lineage = io.lineage();
  if (guests().length > 0 || processesOf(leaf, io).some((pid) => !lineage.includes(pid))) return;
  const enabled = io
    .read(`${base}/cgroup.subtree_control`)
    .split(/\s+/)
    .filter((name) => name !== '');
  if (enabled.length > 0) {
    io.write(`${base}/cgroup.subtree_control`, enabled.map((name) => `-${name}`).join(' '));
  }
  // Fail closed: a guest that came in that very moment has lost its limits with the controllers.
  for (const name of guests()) await removeGuest(`${base}/${name}`, io);
  moveAll(leaf, base, null, io);
  ignoring(['ENOENT'], () => io.removeDirectory(leaf));
}

function processesOf(path: string, io: CgroupIo): readonly number[] {
  const text = ignoring(['ENOENT', 'ENODEV'], () => io.read(`${path}/cgroup.procs`)) ?? '';
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}

function ignoring<T>(codes: readonly string[], run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (codes.includes(codeOf(error))) return undefined;
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error ? String(Reflect.get(error, 'code') ?? '') : '';
}

/** Everything that `cgroupPaths` named, guests first. */
export async function removePlanned(plan: CgroupPlan, io: CgroupIo = systemCgroupIo): Promise<void> {
  await removeCgroups(cgroupPaths(plan), io);
}
