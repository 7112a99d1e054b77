import { beforeEach, describe, expect, it } from 'vitest';
import {
  CGROUP_BOUNDS,
  createCgroups,
  removeCgroups,
  removePlanned,
  requireFree,
} from '../../../controller/resources/cgroup.ts';
import { NO_RESOURCES } from '../../../controller/resources/flags.ts';
import {
  type CgroupPlan,
  cgroupPaths,
  planCgroups,
  requirePlanned,
} from '../../../controller/resources/plan.ts';
import { createFakeCgroups, emptyGroup, type FakeCgroups, failure, MOUNT } from './fake-cgroups.ts';
import { facts, legacy, SAND_PID, SHELL_PID, scope } from './hosts.ts';

const BASE = `${MOUNT}/run.scope`;
const LEAF = `${BASE}/sand-callers`;
const LIMITS = { cpus: 2, memoryMiB: 64, pids: 32, diskMiB: null };

let kernel: FakeCgroups;

/** As the host would be read now. */
function planNow(guest: string): CgroupPlan {
  const base = kernel.groups.get(BASE);
  const place = scope({
    directory: BASE,
    inLeaf: kernel.groups.get(LEAF)?.processes.has(SAND_PID) === true,
    processes: [...(base?.processes ?? [])],
    enabled: [...(base?.enabled ?? [])],
  });
  return requirePlanned(planCgroups(facts([place]), LIMITS, guest));
}

const stateOf = () => ({
  groups: [...kernel.groups.keys()].sort(),
  base: [...(kernel.groups.get(BASE)?.processes ?? [])].sort(),
  enabled: [...(kernel.groups.get(BASE)?.enabled ?? [])],
});

beforeEach(() => {
  kernel = createFakeCgroups(2, [SAND_PID, SHELL_PID, 1]);
  kernel.groups.set(BASE, { ...emptyGroup(), processes: new Set([SHELL_PID, SAND_PID]) });
});

describe('a guest’s control group of version 2', () => {
  it('is made once sand is out of the way, and all is as before when it is removed', async () => {
    const before = stateOf();
    const plan = planNow('g1');
    await createCgroups(plan, kernel);
    expect(Object.fromEntries(kernel.groups.get(`${BASE}/sand-guest-g1`)?.files ?? [])).toEqual({
      'cpu.max': '200000 100000',
      'memory.max': '67108864',
      'memory.swap.max': '0',
      'pids.max': '32',
    });
    expect([...(kernel.groups.get(LEAF)?.processes ?? [])]).toEqual([SHELL_PID, SAND_PID]);
    await removePlanned(plan, kernel);
    expect(stateOf()).toEqual(before);
    await removePlanned(plan, kernel);
    expect(stateOf()).toEqual(before);
  });

  it('makes no folder that was not named before', async () => {
    const plan = planNow('g1');
    await createCgroups(plan, kernel);
    const made = kernel.calls.filter((call) => call.startsWith('mkdir ')).map((call) => call.slice(6));
    expect(new Set(made)).toEqual(new Set(cgroupPaths(plan)));
  });

  it('whatever step fails, none is left and the guest is refused', async () => {
    const before = stateOf();
    await createCgroups(planNow('g1'), kernel);
    await removePlanned(planNow('g1'), kernel);
    const steps = kernel.calls.findIndex((call) => call.startsWith('write') && call.includes('cgroup.kill'));
    expect(steps).toBeGreaterThan(5);
    for (let at = 1; at <= steps; at += 1) {
      kernel.calls.length = 0;
      kernel.before = (call, number) => {
        if (number === at) throw failure('EIO', call);
      };
      await expect(createCgroups(planNow('g1'), kernel)).rejects.toMatchObject({
        code: 'resources-unavailable',
      });
      kernel.before = () => {};
      expect(stateOf()).toEqual(before);
    }
  });

  it('is refused when a file that holds a limit is not there', async () => {
    const plan = planNow('g1');
    const unprepared = { ...plan, preparation: null };
    await expect(createCgroups(unprepared, kernel)).rejects.toMatchObject({ code: 'resources-unavailable' });
    expect(kernel.groups.has(`${BASE}/sand-guest-g1`)).toBe(false);
  });

  it('is refused when one of that name is there, which stays', async () => {
    await createCgroups(planNow('g1'), kernel);
    expect(() => requireFree(planNow('g1'), kernel)).toThrow('is there already');
    expect(() => requireFree(planNow('g2'), kernel)).not.toThrow();
    await expect(createCgroups(planNow('g1'), kernel)).rejects.toThrow('EEXIST');
    expect(kernel.groups.has(`${BASE}/sand-guest-g1`)).toBe(true);
  });

  it('of two guests the last to go gives the callers back to where they were', async () => {
    const before = stateOf();
    const first = planNow('g1');
    await createCgroups(first, kernel);
    const second = planNow('g2');
    await createCgroups(second, kernel);
    await removePlanned(first, kernel);
    expect(kernel.groups.get(`${BASE}/sand-guest-g2`)?.files.get('memory.max')).toBe('67108864');
    expect(stateOf()).toMatchObject({ base: [], enabled: ['cpu', 'memory', 'pids'] });
    await removePlanned(second, kernel);
    expect(stateOf()).toEqual(before);
  });

  it('keeps the callers where they are while another of them may be starting a guest', async () => {
    const plan = planNow('g1');
    await createCgroups(plan, kernel);
    kernel.groups.get(LEAF)?.processes.add(999);
    await removePlanned(plan, kernel);
    expect(stateOf()).toMatchObject({ base: [], enabled: ['cpu', 'memory', 'pids'] });
  });

  it('a guest that came in the moment in which its limits went is killed', async () => {
    const plan = planNow('g1');
    await createCgroups(plan, kernel);
    const late = `${BASE}/sand-guest-late`;
    kernel.before = (call) => {
      if (!call.includes('subtree_control -')) return;
      kernel.groups.set(late, { ...emptyGroup(), processes: new Set([777]) });
    };
    await removePlanned(plan, kernel);
    expect(kernel.killed).toEqual([777]);
    expect(kernel.groups.has(late)).toBe(false);
  });
});

describe('removing', () => {
  it('kills what is left, by the kernel in version 2', async () => {
    const plan = planNow('g1');
    await createCgroups(plan, kernel);
    kernel.groups.get(`${BASE}/sand-guest-g1`)?.processes.add(800);
    await removePlanned(plan, kernel);
    expect(kernel.killed).toEqual([800]);
  });

  it('kills process by process in version 1, and again what was started meanwhile', async () => {
    const old = createFakeCgroups(1, [SAND_PID]);
    const place = legacy('memory', { directory: MOUNT });
    const plan = requirePlanned(planCgroups(facts([place]), { ...NO_RESOURCES, memoryMiB: 64 }, 'g1'));
    await createCgroups(plan, old);
    const processes = old.groups.get(`${MOUNT}/sand-guest-g1`)?.processes;
    processes?.add(800);
    let born = 900;
    const kill = old.kill;
    old.kill = (pid) => {
      kill(pid);
      if (born < 905) processes?.add(born++);
    };
    await removePlanned(plan, old);
    expect(old.killed).toEqual([800, 900, 901, 902, 903, 904]);
    expect([...old.groups.keys()]).toEqual([MOUNT]);
  });

  it('kills nobody for a process that it cannot see', async () => {
    const old = createFakeCgroups(1, [SAND_PID]);
    old.groups.set(`${MOUNT}/sand-guest-g1`, { ...emptyGroup(), processes: new Set([0]) });
    await expect(removeCgroups([`${MOUNT}/sand-guest-g1`], old)).rejects.toMatchObject({
      code: 'teardown-failed',
    });
    expect(old.killed).toEqual([]);
  });

  it('gives up after its bound, and still removes the rest', async () => {
    for (const name of ['stuck', 'fine']) kernel.groups.set(`${BASE}/sand-guest-${name}`, emptyGroup());
    const stuck = kernel.groups.get(`${BASE}/sand-guest-stuck`);
    stuck?.processes.add(800);
    let pauses = 0;
    kernel.waiting = () => {
      pauses += 1;
    };
    kernel.kill = () => {};
    await expect(
      removeCgroups([`${BASE}/sand-guest-stuck`, `${BASE}/sand-guest-fine`], kernel),
    ).rejects.toThrow(/sand-guest-stuck: EBUSY/);
    expect(pauses).toBe(CGROUP_BOUNDS.removeRounds);
    expect(kernel.groups.has(`${BASE}/sand-guest-fine`)).toBe(false);
  });

  it.each([BASE, MOUNT, `${BASE}/other`, `${BASE}/sand-guest-g1/../../run.scope`])(
    'touches nothing of %s',
    async (path) => {
      kernel.groups.set(`${BASE}/other`, { ...emptyGroup(), processes: new Set([5]) });
      kernel.real = (one) => one;
      await expect(removeCgroups([path], kernel)).rejects.toMatchObject({ code: 'teardown-failed' });
      expect(kernel.calls).toEqual([]);
      expect(kernel.killed).toEqual([]);
    },
  );

  it('follows no link', async () => {
    kernel.real = () => BASE;
    await expect(removeCgroups([`${BASE}/sand-guest-g1`], kernel)).rejects.toThrow(
      'no control group that sand made',
    );
    expect(kernel.calls).toEqual([]);
  });
});
