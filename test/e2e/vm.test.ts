/**
 * Guests with a machine of their own: the attack catalogue's cases for a real guest, what is special to a kernel and a
 * file system of its own, and that nothing stays. Skipped with its reason where the machine's parts are missing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { holdGuestCases, inOneRun } from './conformance-cases.ts';
import { follow } from './lifecycle/conditions.ts';
import { NO_TERMINAL, openTerminal } from './lifecycle/terminal-bridge.ts';
import { CALLERS, type RunOutput, type World } from './sand.ts';
import {
  createMachineWorld,
  EMULATOR,
  HAS_INSTALLED,
  HAS_MACHINE,
  KERNEL,
  WITHOUT_MACHINE,
} from './vm-world.ts';

const GUEST = ['run', '--isolation', 'vm'];
/** An emulated processor on a busy machine; no run here is near it. */
const DEADLINE_MS = 900_000;
/** Of one case, which takes a second on an idle machine. */
const CASE_SECONDS = 120;

describe.skipIf(!HAS_MACHINE).each(CALLERS)(`from inside a machine of the %s${WITHOUT_MACHINE}`, (who) => {
  holdGuestCases({
    world: () => createMachineWorld(who),
    ...inOneRun(GUEST, DEADLINE_MS),
    caseSeconds: CASE_SECONDS,
  });
});

/** One boot for all that can be looked at in one command. */
const LOOK = `
echo "kernel $(uname -r)"
echo "user $(id -u)"
echo "variable $GIVEN"
echo "input $(cat)"
echo "complaint" >&2
for path in /usr/new /etc/new /new .git/hooks/new; do touch "$path" 2>/dev/null && echo "wrote $path"; done
echo made >made-inside
touch special && chmod u+s special 2>/dev/null && echo "set a user id bit"
mount -t tmpfs none /mnt 2>/dev/null && echo "mounted"
unshare -Ur true 2>/dev/null && echo "a user namespace"
grep -E '^(CapEff|NoNewPrivs):' /proc/self/status
ls /run/sand-machine
cat /run/sand-machine/client-key 2>/dev/null && echo "read a key"
sh -c 'kill -9 $$'
echo "killed $?"
no-such-program
echo "missing $?"
exit 7
`;

describe.skipIf(!HAS_MACHINE)(`a machine of its own${WITHOUT_MACHINE}`, () => {
  let world: World;
  let run: RunOutput;
  beforeAll(async () => {
    world = createMachineWorld('caller');
    world.file('.git/hooks/pre-commit', '#!/bin/sh\n');
    run = await world.sand([...GUEST, '--env', "GIVEN=it's $HOME", '--', 'sh', '-c', LOOK], {
      input: 'from outside',
      deadlineMs: DEADLINE_MS,
    });
  }, DEADLINE_MS);
  afterAll(() => world.remove());

  it('gives the exit status, what was printed where, standard input and variables', () => {
    expect(run.code, run.stderr).toBe(7);
    expect(run.stdout).toContain("variable it's $HOME\n");
    expect(run.stdout).toContain('input from outside\n');
    expect(run.stdout).not.toContain('complaint');
    expect(run.stderr).toContain('complaint\n');
    expect(run.stdout).toContain('killed 137\n');
    expect(run.stdout).toContain('missing 127\n');
  });

  it('runs on a kernel of its own, as no root and without rights', () => {
    expect(run.stdout).toContain(`kernel ${KERNEL?.release}\n`);
    expect(run.stdout).not.toContain(release());
    expect(run.stdout).not.toContain('user 0\n');
    expect(run.stdout).toMatch(/CapEff:\s+0+\n/);
    expect(run.stdout).toMatch(/NoNewPrivs:\s+1\n/);
    expect(run.stdout).not.toContain('mounted');
    expect(run.stdout).not.toContain('a user namespace');
  });

  it('writes what a guest may write, and nothing else', () => {
    expect(readFileSync(join(world.workspace, 'made-inside'), 'utf8')).toBe('made\n');
    expect(run.stdout).not.toContain('wrote ');
    expect(run.stdout).not.toContain('set a user id bit');
    expect(readdirSync(join(world.workspace, '.git/hooks'))).toEqual(['pre-commit']);
  });

  it('shows the guest no key by which it is entered', () => {
    expect(run.stdout).not.toContain('read a key');
    expect(run.stdout).not.toContain('client-key');
  });

  it('records what was looked at from inside, and nothing failed', async () => {
    const probes = (await world.events()).filter((event) => event.kind === 'probe');
    const names = probes.map((event) => event.name);
    expect(names).toEqual(expect.arrayContaining(['machine-kernel', 'machine-connect', 'machine-resolver']));
    expect(probes.filter((event) => !event.passed)).toEqual([]);
  });

  it('leaves no process', () => {
    expect(machines()).toEqual([]);
  });

  it(
    'hands a signal to the command, which may take its time',
    async () => {
      const text = 'trap "echo got it; sleep 1; exit 9" TERM; echo waiting; while :; do sleep 0.2; done';
      const followed = follow(world.start([...GUEST, '--', 'sh', '-c', text]));
      await waitFor(() => followed.stdout().includes('waiting'));
      followed.child.kill('SIGTERM');
      await waitFor(() => followed.child.exitCode !== null);
      expect(followed.stdout()).toContain('got it');
      expect(followed.child.exitCode).toBe(9);
    },
    DEADLINE_MS,
  );

  it(
    'takes commands from other processes, and waits for no process that one leaves behind',
    async () => {
      const sand = (...args: readonly string[]) => world.sand(args, { deadlineMs: DEADLINE_MS, input: 'in' });
      const started = await sand('run', '-d', '--name', 'kept', '--isolation', 'vm');
      expect(started.code, started.stderr).toBe(0);
      const inside = await sand('exec', 'kept', '--', 'sh', '-c', 'uname -r; cat; exit 3');
      expect(inside).toMatchObject({ code: 3, stdout: `${KERNEL?.release}\nin` });
      const left = await sand('exec', 'kept', '--', 'sh', '-c', 'sleep 600 & echo left; exit 4');
      expect(left).toMatchObject({ code: 4, stdout: 'left\n' });
      expect((await sand('inspect', 'kept', '--json')).stdout).toMatch(/"isolation": ?"vm"/);
      expect((await sand('stop', 'kept')).code).toBe(0);
      expect(machines()).toEqual([]);
    },
    DEADLINE_MS,
  );

  it.skipIf(NO_TERMINAL !== null)(
    'gives a command a terminal, its size, and its keys',
    async () => {
      const text = 'stty size; trap "echo caught; exit 42" INT; echo up; while :; do sleep 0.2; done';
      const [file = '', ...args] = world.start([]).spawnargs;
      const terminal = openTerminal([file, ...args, ...GUEST, '--', 'sh', '-c', text], {
        cwd: world.workspace,
        environment: world.environment,
      });
      await waitFor(() => terminal.stdout().includes('up'));
      expect(terminal.stdout()).toContain('24 80');
      terminal.type('\x03');
      await waitFor(() => terminal.stdout().includes('caught'));
      expect(await terminal.finished()).toEqual({ code: 42, restored: true });
    },
    DEADLINE_MS,
  );

  it(
    'ends with the process that owns it',
    async () => {
      const followed = follow(world.start([...GUEST, '--', 'sh', '-c', 'echo waiting; sleep 600']));
      await waitFor(() => followed.stdout().includes('waiting'));
      expect(machines()).not.toEqual([]);
      followed.child.kill('SIGKILL');
      await waitFor(() => machines().length === 0);
    },
    DEADLINE_MS,
  );

  it.skipIf(HAS_INSTALLED)('is refused with what is missing where there is no kernel', async () => {
    const refused = await world.sand([...GUEST, '--', 'true'], {
      environment: { XDG_CACHE_HOME: join(world.root, 'empty') },
    });
    expect(refused.code).toBe(125);
    expect(refused.stderr).toContain('(backend-unavailable)');
    expect(refused.stderr).toContain('sand image create vm');
  });
});

/** Emulators whose machine is of this test's making: others may run on this host. */
function machines(): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return words[0] === EMULATOR && words.some((word) => word.includes('/run/sand-machine/'));
      } catch {
        return false;
      }
    });
}

async function waitFor(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS / 2;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error('waited too long');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
