import { describe, expect, it } from 'vitest';
import { judgeResources } from '../../../controller/resources/doctor.ts';
import { NO_RESOURCES, type ResourceLimits } from '../../../controller/resources/flags.ts';
import {
  cgroupPaths,
  NO_CGROUPS,
  type Planned,
  planCgroups,
  requirePlanned,
} from '../../../controller/resources/plan.ts';
import { facts, legacy, SCOPE, scope } from './hosts.ts';

const ALL: ResourceLimits = { cpus: 1.5, memoryMiB: 512, pids: 256, diskMiB: 1024 };
const GUEST = `${SCOPE}/sand-guest-g1`;

const planOf = (planned: Planned) => requirePlanned(planned);
const refusalOf = (planned: Planned) => {
  if (planned.ok) throw new Error('it was planned');
  return planned;
};

describe('a guest without limits', () => {
  it.each([NO_RESOURCES, { ...NO_RESOURCES, diskMiB: 64 }])(
    'needs no control group, wherever it is',
    (limits) => {
      expect(planOf(planCgroups(facts([]), limits, 'g1'))).toBe(NO_CGROUPS);
    },
  );
});

describe('version 2', () => {
  it('in a delegated scope: sand moves out of the way, hands the controllers on, and the guest gets a group', () => {
    const plan = planOf(planCgroups(facts([scope()]), ALL, 'g1'));
    expect(plan).toEqual({
      preparation: {
        base: SCOPE,
        controllers: ['cpu', 'memory', 'pids'],
        leaf: `${SCOPE}/sand-callers`,
        lineage: [400, 300, 1],
      },
      directories: [GUEST],
      writes: [
        { path: `${GUEST}/cpu.max`, value: '150000 100000', optional: false },
        { path: `${GUEST}/memory.max`, value: '536870912', optional: false },
        { path: `${GUEST}/memory.swap.max`, value: '0', optional: true },
        { path: `${GUEST}/pids.max`, value: '256', optional: false },
      ],
      procsFiles: [`${GUEST}/cgroup.procs`],
    });
    expect(cgroupPaths(plan)).toEqual([GUEST, `${SCOPE}/sand-callers`]);
  });

  it('hands on only what a limit needs', () => {
    const plan = planOf(planCgroups(facts([scope()]), { ...NO_RESOURCES, pids: 32 }, 'g1'));
    expect(plan.preparation?.controllers).toEqual(['pids']);
  });

  it('moves nothing where the controllers are handed on already, and in the kernel’s own root', () => {
    const ready = scope({ enabled: ['cpu', 'memory', 'pids'], processes: [] });
    expect(planOf(planCgroups(facts([ready]), ALL, 'g1')).preparation).toBeNull();
    const top = scope({ directory: '/sys/fs/cgroup', top: true, processes: [1, 2, 3] });
    expect(planOf(planCgroups(facts([top]), ALL, 'g1')).preparation).toMatchObject({ leaf: null });
  });

  it('beside another sand of the same scope, takes the leaf down if it is the last', () => {
    const beside = scope({ inLeaf: true, enabled: ['cpu', 'memory', 'pids'], processes: [] });
    const plan = planOf(planCgroups(facts([beside]), ALL, 'g1'));
    expect(plan.preparation).toMatchObject({ leaf: `${SCOPE}/sand-callers`, controllers: [] });
  });

  it('where there is swap, a kernel that does not limit it does not limit memory', () => {
    const { writes } = planOf(planCgroups(facts([scope()], { swap: true }), ALL, 'g1'));
    expect(writes.find(({ path }) => path.endsWith('memory.swap.max'))?.optional).toBe(false);
  });
});

describe('version 1', () => {
  it('has a group in each hierarchy, and one more that counts processor time', () => {
    const places = ['cpu', 'cpuacct', 'memory', 'pids'].map((name) => legacy(name));
    const plan = planOf(planCgroups(facts([scope({ controllers: ['hugetlb'] }), ...places]), ALL, 'g1'));
    expect(plan.preparation).toBeNull();
    expect(plan.directories).toEqual(
      ['cpu', 'memory', 'pids', 'cpuacct'].map((name) => `/sys/fs/cgroup/${name}/sand-guest-g1`),
    );
    expect(plan.writes.map(({ path, value }) => [path.replace(/.*\//, ''), value])).toEqual([
      ['cpu.cfs_period_us', '100000'],
      ['cpu.cfs_quota_us', '150000'],
      ['memory.limit_in_bytes', '536870912'],
      ['memory.memsw.limit_in_bytes', '536870912'],
      ['pids.max', '256'],
    ]);
    expect(plan.procsFiles).toHaveLength(4);
  });

  it('shares a group where controllers share a hierarchy', () => {
    const both = legacy('cpu,cpuacct', { controllers: ['cpu', 'cpuacct'] });
    const plan = planOf(planCgroups(facts([both]), { ...NO_RESOURCES, cpus: 1 }, 'g1'));
    expect(plan.directories).toEqual(['/sys/fs/cgroup/cpu,cpuacct/sand-guest-g1']);
  });

  it('and version 2 at once: each controller where it is', () => {
    const mixed = [scope({ controllers: ['memory', 'pids'] }), legacy('cpu')];
    const plan = planOf(planCgroups(facts(mixed), ALL, 'g1'));
    expect(plan.preparation?.controllers).toEqual(['memory', 'pids']);
    expect(plan.directories).toEqual(['/sys/fs/cgroup/cpu/sand-guest-g1', GUEST]);
  });
});

describe('no limit is left out: refused', () => {
  it.each([
    ['nobody delegated it', scope({ writable: false }), {}, 'nobody delegated', 'systemd-run --user --scope'],
    [
      'without a systemd',
      scope({ writable: false }),
      { userManager: false },
      'nobody delegated',
      'run sand as root',
    ],
    ['read-only', scope({ writable: false, readOnly: true }), {}, 'read-only here', 'in a container'],
    [
      'a stranger in the group',
      scope({ processes: [400, 999] }),
      {},
      '(1, such as 999)',
      'systemd-run --user',
    ],
    ['as root', scope({ processes: [999] }), { root: true }, 'such as 999', '`systemd-run --scope -p'],
    [
      'version 1, not root',
      legacy('memory', { writable: false }),
      {},
      'only root can change',
      'run sand as root',
    ],
    ['no controller', scope({ controllers: ['pids'] }), {}, 'has: pids', 'Delegate=cpu memory pids'],
  ])('%s', (_, place, changes, message, hint) => {
    const refusal = refusalOf(planCgroups(facts([place], changes), { ...NO_RESOURCES, memoryMiB: 64 }, 'g1'));
    expect(refusal.message).toContain('--memory needs');
    expect(refusal.message).toContain(message);
    expect(refusal.hint).toContain(hint);
    expect(() => requirePlanned(refusal)).toThrow(expect.objectContaining({ code: 'resources-unavailable' }));
  });

  it('a missing controller only where a limit needs it', () => {
    const place = scope({ controllers: ['memory', 'pids'] });
    expect(planCgroups(facts([place]), { ...ALL, cpus: null }, 'g1').ok).toBe(true);
    expect(refusalOf(planCgroups(facts([place]), ALL, 'g1')).limit).toBe('cpus');
  });

  it('where no hierarchy is mounted', () => {
    expect(refusalOf(planCgroups(facts([]), ALL, 'g1')).message).toContain(
      'no mounted control group shows it',
    );
  });
});

describe('the doctor', () => {
  it('says that all hold', () => {
    expect(judgeResources(facts([scope()]))).toEqual([
      { check: 'resources', state: 'ok', message: '--cpus, --memory, --pids and --disk hold', remedy: null },
    ]);
  });

  it('says which do not, each with why and what to do', () => {
    const findings = judgeResources(facts([scope({ controllers: ['memory', 'pids'] })]));
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ state: 'warning' });
    expect(findings[0]?.message).toMatch(
      /^--memory, --pids and --disk hold; --cpus needs the cpu controller/,
    );
    expect(findings[0]?.remedy).toContain('Delegate=cpu memory pids');
  });
});
