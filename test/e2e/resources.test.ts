/**
 * Limits of a guest, for real: what reaches one is stopped and told, nothing can change its own, nothing stays, and
 * where they cannot be had there is no guest. Skipped by name where this caller has no control groups to give.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditRoot, findRun } from '../../audit/runs.ts';
import { readUsage, removeCgroups } from '../../controller/resources/cgroup.ts';
import { judgeResources } from '../../controller/resources/doctor.ts';
import { NO_RESOURCES, type ResourceLimits } from '../../controller/resources/flags.ts';
import { readCgroupFacts, systemResourceHost } from '../../controller/resources/host.ts';
import { joiningArguments } from '../../controller/resources/join.ts';
import { planCgroups, requirePlanned } from '../../controller/resources/plan.ts';
import { follow, until } from './lifecycle/conditions.ts';
import { createWorld, NODE, outputOf, SAND, type World } from './sand.ts';

const facts = readCgroupFacts(systemResourceHost(process.env));
const [blocked] = judgeResources(facts).filter(({ state }) => state !== 'ok');
if (blocked !== undefined) console.log(`skipped: limits of guests: ${blocked.message}`);

const LIMITS: ResourceLimits = { cpus: 0.25, memoryMiB: 256, pids: 64, diskMiB: null };

let world: World;
beforeAll(() => {
  world = createWorld();
});
afterAll(() => world.remove());

const offline = (...rest: readonly string[]) => ['run', '--policy', 'offline', ...rest];

/** Those of the last run of the world, wherever it stands. */
async function groupsOfLastRun(limits: ResourceLimits): Promise<readonly string[]> {
  const found = await findRun(auditRoot(world.environment));
  return requirePlanned(planCgroups(facts, limits, found.kind === 'found' ? found.run.id : 'none'))
    .directories;
}

const processesIn = (directory: string): readonly string[] =>
  readFileSync(`${directory}/cgroup.procs`, 'utf8').split('\n').filter(Boolean);

const commandLine = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
};

describe.skipIf(blocked !== undefined)('limits of a guest', () => {
  it('end what takes more memory, and say so; nothing stays', async () => {
    const hog = 'head -c 300m /dev/zero | tail -c 300m > /dev/null';
    const { code, stderr } = await world.sand(offline('--memory', '64MiB', '--', 'sh', '-c', hog));
    expect(code).toBe(137);
    expect(stderr).toMatch(/the guest reached its memory limit of 64 MiB \(1 process was killed\)/);
    const events = await world.events();
    expect(events).toContainEqual(expect.objectContaining({ kind: 'notice', code: 'memory-limit-reached' }));
    for (const group of await groupsOfLastRun({ ...NO_RESOURCES, memoryMiB: 64 }))
      expect(existsSync(group)).toBe(false);
  });

  it('count what is written to a folder in memory as memory', async () => {
    const fill = 'head -c 300m /dev/zero > /tmp/full; echo "$?"';
    const { stderr } = await world.sand(offline('--memory', '64MiB', '--', 'sh', '-c', fill));
    expect(stderr).toContain('the guest reached its memory limit of 64 MiB');
  });

  it('stop a fork bomb at its bound', async () => {
    const bomb = 'b() { b | b & }; b; sleep 1; echo over';
    const { stderr } = await world.sand(
      offline('--pids', '32', '--timeout', '20s', '--', 'bash', '-c', bomb),
    );
    expect(stderr).toMatch(
      /the guest reached its limit of 32 processes and threads \(\d+ starts were refused\)/,
    );
    for (const group of await groupsOfLastRun({ ...NO_RESOURCES, pids: 32 }))
      expect(existsSync(group)).toBe(false);
  });

  it('hold processor time back, and the guest’s processes stand in its groups, sand does not', async () => {
    const busy = 'i=0; while [ "$i" -lt 400000 ]; do i=$((i+1)); done; echo counted; read answer; exit 7';
    const flags = ['--cpus', '0.25', '--memory', '256MiB', '--pids', '64'];
    const run = follow(world.start(offline(...flags, '--', 'sh', '-c', busy)));
    await run.printed('counted');
    const groups = await groupsOfLastRun(LIMITS);
    const usage = readUsage(groups);
    expect(usage.throttledPeriods).toBeGreaterThan(0);
    expect(usage.cpuMs).toBeGreaterThan(0);
    expect(usage.memoryBytes).toBeGreaterThan(0);
    expect(usage.memoryPeakBytes).toBeLessThanOrEqual(256 * 1024 ** 2);
    expect(usage.pids).toBeGreaterThan(0);
    for (const group of groups) {
      expect(processesIn(group).map(commandLine)).toContainEqual(expect.stringContaining('echo counted'));
      expect(processesIn(group)).not.toContain(String(run.pid));
    }
    run.child.stdin?.end('\n');
    expect(await run.ended()).toBe(7);
    for (const group of groups) expect(existsSync(group)).toBe(false);
  });

  it('cannot be seen or changed from inside', async () => {
    const script = [
      'find / -xdev -name cgroup.procs 2>/dev/null; ls /sys/fs 2>&1',
      'mkdir /tmp/c; mount -t cgroup2 none /tmp/c 2>/dev/null && echo mounted',
      'mount -t cgroup -o memory none /tmp/c 2>/dev/null && echo mounted',
      'grep -c -- "- cgroup" /proc/self/mountinfo; grep -E "memory|::" /proc/self/cgroup | grep sand',
    ].join('; ');
    const { stdout } = await world.sand(offline('--memory', '256MiB', '--', 'sh', '-c', script));
    expect(stdout).toMatch(/^ls: .*\/sys\/fs.*\n0\n$/);
  });

  it('go with a run that was killed, by what its journal names; what was left in them is killed', async () => {
    const flags = ['--cpus', '0.25', '--memory', '256MiB', '--pids', '64'];
    const run = follow(world.start(offline(...flags, '--', 'sh', '-c', 'echo up; exec sleep 613')));
    await run.printed('up');
    const groups = await groupsOfLastRun(LIMITS);
    const [first = ''] = groups;
    await until('the command', () => processesIn(first).some((pid) => commandLine(pid) === 'sleep 613'));
    process.kill(run.pid, 'SIGKILL');
    expect(await run.ended()).toBe(137);
    await until('the guest to be gone', () => processesIn(first).length === 0);
    const left = joined(groups);
    await until('what is left', () => processesIn(first).length > 0);
    await removeCgroups(groups);
    for (const group of groups) expect(existsSync(group)).toBe(false);
    await until('its end', () => left.signalCode === 'SIGKILL');
    // Again, as after a prune that was cut off.
    await removeCgroups(groups);
  });
});

function joined(groups: readonly string[]): ChildProcess {
  const [shell = '', ...args] = joiningArguments(groups.map((group) => `${group}/cgroup.procs`));
  return spawn(shell, [...args, 'sleep', '614'], { stdio: 'ignore' });
}

describe.skipIf(blocked !== undefined)('the page about resources', () => {
  const page = readFileSync(new URL('../../docs/resources.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/```console\n\$ sand (.*)\n([\s\S]*?)```/g)];

  it.each(blocks.map(([, command = '', shown = '']) => ({ command, shown })))(
    'shows what is printed: $command',
    async ({ command, shown }) => {
      const shell = spawn('sh', ['-c', `"$0" "$1" ${command}`, NODE, SAND], {
        cwd: world.workspace,
        env: world.environment,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const { stdout, stderr } = await outputOf(shell, null);
      expect(`${stdout}${stderr}`).toBe(shown);
    },
  );

  it('has an example of each kind', () => {
    expect(blocks).toHaveLength(3);
  });
});

describe.skipIf(blocked !== undefined)('the least of each limit', () => {
  it('starts a guest', async () => {
    const flags = ['--cpus', '0.1', '--memory', '16MiB', '--pids', '16', '--disk', '32MiB'];
    const { code, stdout, stderr } = await world.sand(
      offline(...flags, '--', 'sh', '-c', 'echo "$(id -un)"'),
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'sand\n', stderr: '' });
  });
});

describe('the private folders of a guest', () => {
  it('hold their part of --disk and not a byte more, and /dev nothing', async () => {
    const script =
      'head -c 40m /dev/zero > /tmp/x; wc -c < /tmp/x; echo x > /dev/x; echo x > /dev/null && echo fine';
    const { stdout, stderr } = await world.sand(offline('--disk', '64MiB', '--', 'sh', '-c', script));
    expect(stdout).toBe(`${16 * 1024 ** 2}\nfine\n`);
    expect(stderr).toContain('No space left on device');
    expect(stderr).toMatch(/\/dev\/x: Read-only file system/);
  });

  it('hold together what --disk says', async () => {
    const script = 'df -k / /tmp /var/tmp /dev/shm /run "$HOME" | tail -n +3';
    const { stdout } = await world.sand(offline('--disk', '64MiB', '--', 'sh', '-c', script));
    const sizes = stdout
      .trim()
      .split('\n')
      .map((line) => Number(line.split(/\s+/)[1]));
    expect(sizes).toHaveLength(5);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(64 * 1024);
  });
});

describe.skipIf(process.getuid?.() !== 0)('a user to whom nobody delegated a control group', () => {
  it.each([
    ['--cpus', '1'],
    ['--memory', '512MiB'],
    ['--pids', '256'],
  ])('gets no guest with %s, and the reason', async (flag, value) => {
    const other = createWorld('ordinary user');
    try {
      const { code, stdout, stderr } = await other.sand(offline(flag, value, '--', 'echo', 'ran'));
      expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
      expect(stderr).toContain('(resources-unavailable)');
      expect(stderr).toContain(flag);
    } finally {
      other.remove();
    }
  });
});

it('a limit that cannot be read starts nothing', async () => {
  const { code, stdout, stderr } = await world.sand(offline('--memory', '512', '--', 'echo', 'ran'));
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('which unit is meant');
});
