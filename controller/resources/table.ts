/**
 * The limits that the kernel's control groups hold, in both of their versions: which controller, which files, which
 * values. Pure.
 */

export type CgroupVersion = 1 | 2;

/** What a control group limits; `--disk` is none of it. */
export const CGROUP_LIMITS = ['cpus', 'memoryMiB', 'pids'] as const;
export type CgroupLimit = (typeof CGROUP_LIMITS)[number];

export interface LimitFile {
  readonly file: string;
  readonly value: string;
  /** Only there where the kernel accounts for swap. */
  readonly swap: boolean;
}

interface LimitRow {
  readonly flag: string;
  readonly controller: 'cpu' | 'memory' | 'pids';
  readonly files: Readonly<Record<CgroupVersion, (value: number) => readonly LimitFile[]>>;
}

/** The kernel's own default, and what every other tool writes. */
const PERIOD_US = 100_000;

const entry = (file: string, value: number | string): LimitFile => ({
  file,
  value: String(value),
  swap: false,
});
const bytes = (sizeMiB: number): number => sizeMiB * 1024 ** 2;
const quotaUs = (cpus: number): number => Math.round(cpus * PERIOD_US);

export const LIMIT_TABLE: Readonly<Record<CgroupLimit, LimitRow>> = {
  cpus: {
    flag: '--cpus',
    controller: 'cpu',
    files: {
      1: (cpus) => [entry('cpu.cfs_period_us', PERIOD_US), entry('cpu.cfs_quota_us', quotaUs(cpus))],
      2: (cpus) => [entry('cpu.max', `${quotaUs(cpus)} ${PERIOD_US}`)],
    },
  },
  memoryMiB: {
    flag: '--memory',
    controller: 'memory',
    files: {
      // In this order: memory and swap together are never less than memory.
      1: (sizeMiB) => [
        entry('memory.limit_in_bytes', bytes(sizeMiB)),
        { file: 'memory.memsw.limit_in_bytes', value: String(bytes(sizeMiB)), swap: true },
      ],
      2: (sizeMiB) => [
        entry('memory.max', bytes(sizeMiB)),
        { file: 'memory.swap.max', value: '0', swap: true },
      ],
    },
  },
  pids: {
    flag: '--pids',
    controller: 'pids',
    files: { 1: (pids) => [entry('pids.max', pids)], 2: (pids) => [entry('pids.max', pids)] },
  },
};

/** What in the files of a group is told of it: each key with the files that have it, the first that is there counts. */
export const FIGURES = {
  memoryBytes: ['memory.current', 'memory.usage_in_bytes'],
  memoryPeakBytes: ['memory.peak', 'memory.max_usage_in_bytes'],
  memoryKills: ['memory.events oom_kill', 'memory.oom_control oom_kill'],
  pids: ['pids.current'],
  pidsRefused: ['pids.events max'],
  cpuUs: ['cpu.stat usage_usec'],
  cpuNs: ['cpuacct.usage'],
  throttledPeriods: ['cpu.stat nr_throttled'],
} as const satisfies Readonly<Record<string, readonly string[]>>;
export type FigureName = keyof typeof FIGURES;
