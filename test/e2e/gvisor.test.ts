/**
 * Guests in gVisor: the attack catalogue's cases for a real guest, what is special to a kernel of its own, and
 * that nothing stays. Skipped with its reason where `runsc` is not installed.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { holdGuestCases, inOneRun } from './conformance-cases.ts';
import { CALLERS, createWorld, NODE, outputOf, SAND, type World } from './sand.ts';

const HAS_RUNSC = spawnSync('runsc', ['--version']).status === 0;
const GUEST = ['run', '--isolation', 'gvisor'];
/** gVisor is slower, and the suites' machines are busy. */
const DEADLINE_MS = 180_000;

describe.skipIf(!HAS_RUNSC).each(CALLERS)('from inside a gVisor guest of the %s', (who) => {
  holdGuestCases({ world: () => createWorld(who), ...inOneRun(GUEST, DEADLINE_MS) });
});

/** Prints a line for each thing that it could do and must not. */
const ATTACKS = `
import os, socket
def tried(name, attack):
    try:
        attack()
        print("OPEN", name)
    except Exception as error:
        print("closed", name)
def sock(family, kind, protocol=0):
    return lambda: socket.socket(family, kind, protocol)
def write(path):
    return lambda: open(path, "w").write("x")
def unix():
    socket.socket(socket.AF_UNIX).connect("agent.sock")
tried("raw", sock(socket.AF_INET, socket.SOCK_RAW, 1))
tried("packet", sock(17, socket.SOCK_RAW))
tried("vsock", sock(40, socket.SOCK_STREAM))
tried("unix socket of the host", unix)
tried("core pattern", write("/proc/sys/kernel/core_pattern"))
tried("forwarding", write("/proc/sys/net/ipv4/ip_forward"))
tried("sysrq", write("/proc/sysrq-trigger"))
tried("system", write("/usr/planted"))
tried("shadow", lambda: open("/etc/shadow").read())
tried("unprotected hook", write(".git/hooks/pre-commit"))
tried("moved repository", lambda: os.rename(".git", "git"))
for path in ("/sand", "/guest"):
    tried(path, lambda: os.listdir(path))
print("uid", os.getuid(), "kernel", os.uname().release)
`;

/** Runs what it is told as it is, and reports what a guest in gVisor would. */
const LYING_RUNSC = `#!/bin/sh
case " $* " in
  *' run '*) echo ready; exec sleep 1000 ;;
  *' exec '*)
    printf '@status\\nUid: 1000 1000 1000 1000\\nCapInh: 0\\nCapPrm: 0\\nCapEff: 0\\n@kernel\\nLinux 4.4\\ngVisor\\n'
    printf '@resolver\\n198.18.1.1\\n@command\\nfound\\n@end\\n'
    touch /guest/tmp/started ;;
esac
`;

/** The programs that a guest is started with, less `runsc`. */
function toolFolder(world: World, name: string): string {
  const folder = join(world.root, name);
  mkdirSync(folder);
  for (const tool of ['bwrap', 'ip', 'nft', 'nsenter', 'setpriv', 'unshare', 'sh', 'cat']) {
    const found = spawnSync('sh', ['-c', `command -v ${tool} || ls /usr/sbin/${tool}`]);
    symlinkSync(found.stdout.toString().trim(), join(folder, tool));
  }
  return folder;
}

/** As root of a user namespace of its own, with what gVisor gives there. */
const AS_ROOT = `unshare --user --map-root-user sh -c '
ip link set sand1 down 2>/dev/null && echo OPEN link
ip route flush table local 2>/dev/null && echo OPEN routes
mount -t proc proc /proc 2>/dev/null && echo OPEN mount
umount /proc 2>/dev/null && echo OPEN unmount
chroot / true 2>/dev/null
cat /proc/1/root/sand/runsc 2>/dev/null && echo OPEN state
echo tried'`;

/** Of the supervisor, all that descends from it, by the host's own list. */
function descendants(pid: number): readonly number[] {
  const found = [pid];
  for (const each of found) {
    const threads = readdirSync(`/proc/${each}/task`);
    for (const thread of threads) {
      const children = readFileSync(`/proc/${each}/task/${thread}/children`, 'utf8').trim().split(' ');
      found.push(...children.filter((child) => child !== '').map(Number));
    }
  }
  return found.slice(1);
}

/** A zombie has ended; somebody else's init has not looked yet. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(holds: () => boolean): Promise<boolean> {
  const deadline = performance.now() + DEADLINE_MS / 6;
  while (!holds() && performance.now() < deadline) await sleep(50);
  return holds();
}

describe.skipIf(!HAS_RUNSC).each(CALLERS)('a gVisor guest of the %s', (who) => {
  let world: World;
  beforeAll(() => {
    world = createWorld(who);
    world.file('.git/hooks/pre-push', '#!/bin/sh\n');
    world.file('.git/HEAD', 'ref: refs/heads/main\n');
  });
  afterAll(() => world.remove());

  it(
    'reaches nothing that a guest must not',
    async () => {
      const agent = createServer().listen(join(world.workspace, 'agent.sock'));
      world.file('attack.py', ATTACKS);
      const script = `python3 attack.py; ${AS_ROOT}; curl -sS --max-time 5 https://203.0.113.9/`;
      const run = await world.sand([...GUEST, '--policy', 'strict', '--', 'sh', '-c', script]);
      agent.close();
      expect(run.stdout).not.toContain('OPEN');
      expect(run.stdout.match(/^closed/gm)?.length, run.stdout + run.stderr).toBe(13);
      expect(run.stdout).toContain('tried');
      const uid = who === 'ordinary user' ? 54_321 : process.getuid?.() || 1000;
      expect(run.stdout).toContain(`uid ${uid} kernel 4.4.0`);
    },
    DEADLINE_MS,
  );

  it(
    'says in the log what was looked at',
    async () => {
      await world.sand([...GUEST, '--policy', 'strict', '--', 'true']);
      const probes = (await world.events()).flatMap((event) => (event.kind === 'probe' ? [event] : []));
      const names = new Set(probes.map(({ name }) => name));
      expect([...names]).toEqual(
        expect.arrayContaining([
          ...['guest-kernel', 'guest-user', 'guest-resolver', 'guest-namespace', 'guest-mounts'],
          ...['guest-capabilities', 'sandbox-seccomp', 'sandbox-capabilities', 'sandbox-no-new-privileges'],
        ]),
      );
      expect(probes.every(({ passed }) => passed)).toBe(true);
    },
    DEADLINE_MS,
  );

  it(
    'ends as its command did, and knows the caller\u2019s streams',
    async () => {
      const script = 'cat; echo to-stderr >&2; sh -c "exit 7"';
      const run = await world.sand([...GUEST, '--', 'sh', '-c', script], { input: 'from the caller\n' });
      expect(run).toMatchObject({ code: 7, stdout: 'from the caller\n' });
      expect(run.stderr).toContain('to-stderr');
      expect((await world.sand([...GUEST, '--', 'sh', '-c', 'kill -TERM $$'])).code).toBe(143);
      expect((await world.sand([...GUEST, '--', 'no-such-program'])).code).toBe(127);
    },
    DEADLINE_MS,
  );

  it(
    'writes a file behind what is there already',
    async () => {
      const path = world.file('out.txt', 'first\n');
      const output = openSync(path, 'a');
      const as =
        who === 'caller' ? [] : ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups', '--'];
      const [file = '', ...args] = [...as, NODE, SAND, ...GUEST, '--', 'echo', 'second'];
      const { environment, workspace } = world;
      const child = spawn(file, args, {
        cwd: workspace,
        env: environment,
        stdio: ['ignore', output, 'pipe'],
      });
      const { code, stderr } = await outputOf(child, null);
      closeSync(output);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(readFileSync(path, 'utf8')).toBe('first\nsecond\n');
    },
    DEADLINE_MS,
  );

  it(
    'gives its command a signal of the caller, and time',
    async () => {
      const child = world.start([
        ...GUEST,
        '--',
        'sh',
        '-c',
        'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done',
      ]);
      child.stdout?.once('data', () => child.kill('SIGTERM'));
      expect((await outputOf(child, null)).code).toBe(9);
    },
    DEADLINE_MS,
  );

  it(
    'is ended by --timeout',
    async () => {
      const run = await world.sand([...GUEST, '--timeout', '5s', '--', 'sleep', '1000']);
      expect(run.code).toBe(124);
    },
    DEADLINE_MS,
  );

  it(
    'leaves nothing behind when its supervisor is killed',
    async () => {
      const child = world.start([...GUEST, '--', 'sh', '-c', `echo up; sleep 1000`]);
      const pid = child.pid ?? 0;
      await new Promise((resolve) => child.stdout?.once('data', resolve));
      const all = descendants(pid);
      expect(all.length).toBeGreaterThan(5);
      process.kill(pid, 'SIGKILL');
      expect(await until(() => !all.some(isAlive))).toBe(true);
    },
    DEADLINE_MS,
  );

  it(
    'takes commands of other processes, ends what is left of one whose process is killed, and asks before it ends',
    async () => {
      const name = `gvisor-${process.pid}`;
      const script = 'trap "echo asked >asked; exit" TERM; while :; do sleep 0.1; done';
      const begun = await world.sand([...GUEST, '--detach', '--name', name, '--', 'sh', '-c', script]);
      expect(begun).toMatchObject({ code: 0 });
      const exec = (...argv: readonly string[]) => world.sand(['exec', name, '--', ...argv]);
      expect((await exec('sh', '-c', 'echo kept >/tmp/kept; exit 5')).code).toBe(5);
      expect((await exec('cat', '/tmp/kept')).stdout).toBe('kept\n');
      const child = world.start(['exec', name, '--', 'sh', '-c', 'echo up; sleep 7777 & sleep 7778; :']);
      await new Promise((resolve) => child.stdout?.once('data', resolve));
      const both = (await exec('ps', '-ef')).stdout;
      expect([both.includes('sleep 7777'), both.includes('sleep 7778')]).toEqual([true, true]);
      process.kill(child.pid ?? 0, 'SIGKILL');
      let left = '';
      for (let tries = 0; tries < 10; tries += 1) {
        left = (await exec('ps', '-ef')).stdout;
        if (!/sleep 777/.test(left)) break;
      }
      expect(left).not.toMatch(/sleep 777/);
      expect((await world.sand(['stop', name])).code).toBe(0);
      expect(readFileSync(join(world.workspace, 'asked'), 'utf8')).toBe('asked\n');
    },
    DEADLINE_MS,
  );

  it(
    'is refused in plain words where runsc is not installed',
    async () => {
      const environment = { SAND_TOOL_PATH: toolFolder(world, 'without') };
      const run = await world.sand([...GUEST, '--', 'true'], { environment });
      expect(run.code).toBe(125);
      expect(run.stderr).toMatch(/needs runsc.*tool-missing/);
      expect(run.stderr).toContain('apt-get install runsc');
    },
    DEADLINE_MS,
  );

  it(
    'starts no command where runsc isolates nothing and says that it does',
    async () => {
      const tools = toolFolder(world, 'lying');
      writeFileSync(join(tools, 'runsc'), LYING_RUNSC, { mode: 0o755 });
      const run = await world.sand([...GUEST, '--', 'touch', 'started'], {
        environment: { SAND_TOOL_PATH: tools },
      });
      expect(run.code, run.stderr).toBe(122);
      expect(run.stderr).toMatch(/no runsc-sandbox/);
      expect(readdirSync(world.workspace)).not.toContain('started');
    },
    DEADLINE_MS,
  );
});
