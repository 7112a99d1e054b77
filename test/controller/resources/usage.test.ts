import { describe, expect, it } from 'vitest';
import { NO_RESOURCES } from '../../../controller/resources/flags.ts';
import { describeEvents, parseUsage } from '../../../controller/resources/usage.ts';

const read = (files: Readonly<Record<string, string>>) => (file: string) => files[file] ?? null;

const V2 = {
  'memory.current': '1048576\n',
  'memory.peak': '2097152\n',
  'memory.events': 'low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n',
  'pids.current': '4\n',
  'pids.events': 'max 7\n',
  'cpu.stat': 'usage_usec 1500000\nuser_usec 1\nnr_periods 10\nnr_throttled 3\nthrottled_usec 5\n',
};
const V1 = {
  'memory.usage_in_bytes': '1048576\n',
  'memory.max_usage_in_bytes': '2097152\n',
  'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
  'pids.current': '4\n',
  'pids.events': 'max 7\n',
  'cpu.stat': 'nr_periods 10\nnr_throttled 3\nthrottled_time 5\n',
  'cpuacct.usage': '1500000000\n',
};

describe('what a guest used', () => {
  it.each([
    ['2', V2],
    ['1', V1],
  ])('reads the same of version %s', (_, files) => {
    expect(parseUsage(read(files))).toEqual({
      memoryBytes: 1_048_576,
      memoryPeakBytes: 2_097_152,
      memoryKills: 2,
      pids: 4,
      pidsRefused: 7,
      cpuMs: 1500,
      throttledPeriods: 3,
    });
  });

  it('is unknown where nothing counts it, or what is there is no number', () => {
    const nothing = parseUsage(() => null);
    expect(Object.values(nothing).every((value) => value === null)).toBe(true);
    expect(parseUsage(read({ 'pids.current': 'max\n' })).pids).toBeNull();
  });
});

describe('limits that were reached', () => {
  const limits = { ...NO_RESOURCES, memoryMiB: 512, pids: 256 };

  it('are told with their number', () => {
    expect(describeEvents(parseUsage(read(V2)), limits)).toEqual([
      {
        code: 'memory-limit-reached',
        detail: 'the guest reached its memory limit of 512 MiB (2 processes were killed); --memory sets it',
      },
      {
        code: 'pids-limit-reached',
        detail:
          'the guest reached its limit of 256 processes and threads (7 starts were refused); --pids sets it',
      },
    ]);
  });

  it('are not told where they were not asked for, or not reached', () => {
    expect(describeEvents(parseUsage(read(V2)), NO_RESOURCES)).toEqual([]);
    expect(
      describeEvents(
        parseUsage(() => null),
        limits,
      ),
    ).toEqual([]);
  });
});
