/**
 * A guest for the relay's tests: network, mount and process namespaces with a root of their own, the sockets of the host's
 * side mounted where the program looks for them, and the capabilities that a real guest's container is created with.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import { listenAt, type RelayHandler } from './proxy-host.ts';

const KEPT =
  'chown,dac_override,fsetid,fowner,setgid,setuid,setpcap,setfcap,net_bind_service,sys_chroot,kill,audit_write';
const DEADLINE_MS = 20_000;
const PASSWD = `root:x:0:0:root:/root:/bin/sh
builder:x:1000:1000:Builder:/home/builder:/bin/sh
odd:x:not-a-number:1:odd:/:/bin/sh
short:x:7
nobody:x:65534:65534:nobody:/nonexistent:/bin/sh
`;
const GROUP = 'root:x:0:\nbuilder:x:1000:\nwheel:x:10:other,builder\ndocker:x:99:builder\nnogroup:x:65534:\n';

/** Words: folder of the test, folder of Node, capabilities, wrapper, then the program and its arguments. */
const SETUP = `
set -eu
folder=$1 node=$2 capabilities=$3 wrapper=$4
shift 4
mount --make-rprivate /
root=$folder/root
mkdir -p "$root" && mount -t tmpfs root "$root"
for name in usr bin sbin lib lib64; do
  if [ -L "/$name" ]; then ln -s "$(readlink "/$name")" "$root/$name"
  elif [ -d "/$name" ]; then mkdir "$root/$name" && mount --rbind "/$name" "$root/$name"; fi
done
mkdir "$root/old" "$root/proc" "$root/dev" "$root/etc" "$root/tmp" "$root/code" "$root/node" "$root/.sand" "$root/root"
chmod 1777 "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$folder/etc" "$root/etc"
mount --bind "$folder/code" "$root/code"
mount --bind "$folder/sand" "$root/.sand"
mount --bind "$folder/sand/bin" "$root/.sand/bin"
mount -o remount,bind,ro "$root/.sand/bin"
mount --bind "$node" "$root/node"
ip link set lo up
cd "$root"
# A root that was only changed to would forbid user namespaces.
exec $wrapper sh -euc 'pivot_root . old; cd /; umount -l /old; rmdir /old; capabilities=$1; shift
  exec setpriv --bounding-set="$capabilities" "$@"' sh "$capabilities" "$@"
`;

export interface Finished {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestGuest {
  readonly folder: string;
  /** Of the guest's first process, as this machine sees it. */
  readonly pid: number;
  /** The program with these arguments, as the tool outside would start it. */
  relay(args: readonly string[], input?: string | Buffer): Promise<Finished>;
  /** A command of the guest by `run`; a name of one word is a user. */
  run(command: readonly string[], options?: RunOptions): Promise<Finished>;
  /** A Node program of the guest. */
  node(program: string, options?: RunOptions): Promise<Finished>;
  /** The same as a process to talk to. */
  start(args: readonly string[]): ChildProcess;
  readonly ended: Promise<Finished>;
  close(): Promise<void>;
}

interface RunOptions {
  readonly user?: string;
  readonly workdir?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly id?: string;
}

export interface GuestPlan {
  readonly args?: readonly string[];
  readonly proxy?: RelayHandler | null;
  readonly dns?: RelayHandler | null;
  /** Beside what a workload keeps. */
  readonly capabilities?: readonly string[];
  /** A command that starts the rest of its line. */
  readonly wrapper?: string;
  readonly architecture?: 'x64' | 'arm64';
  /** What runs the program of another architecture; no test says this of its own. */
  readonly emulator?: string;
  /** Done in the folder before the guest starts. */
  readonly prepare?: (folder: string) => void;
  readonly withoutReady?: boolean;
}

/** Why these tests cannot run here; null where they can. */
export function reasonToSkip(): string | null {
  const { folder, reason } = inject('relayBuild');
  if (folder === null) return reason;
  return process.getuid?.() === 0 ? null : 'the tests of the guest relay make namespaces as root';
}

export async function finish(child: ChildProcess, input?: string | Buffer): Promise<Finished> {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout?.on('data', (chunk: Buffer) => chunks.stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => chunks.stderr.push(chunk));
  child.stdin?.on('error', () => undefined);
  if (input !== undefined) child.stdin?.end(input);
  const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  return {
    code,
    signal,
    stdout: Buffer.concat(chunks.stdout).toString('latin1'),
    stderr: Buffer.concat(chunks.stderr).toString('latin1'),
  };
}

function firstChild(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return Number(text.split(' ')[0]) || null;
  } catch {
    return null;
  }
}

export async function until<T>(what: () => T | null | undefined | false, name: string): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const found = what();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not in time: ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function startGuest(plan: GuestPlan = {}): Promise<TestGuest> {
  const folder = mkdtempSync(join(tmpdir(), 'sand-relay-'));
  chmodSync(folder, 0o755);
  for (const name of ['sand/bin', 'code', 'etc']) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'etc/passwd'), PASSWD);
  writeFileSync(join(folder, 'etc/group'), GROUP);
  writeFileSync(join(folder, 'etc/resolv.conf'), 'nameserver 127.0.0.1\n');
  writeFileSync(join(folder, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  const program = join(folder, 'sand/bin/sand-relay');
  copyFileSync(
    join(inject('relayBuild').folder ?? '', plan.architecture ?? process.arch, 'sand-relay'),
    program,
  );
  chmodSync(program, 0o755);
  plan.prepare?.(folder);
  const servers: Server[] = [];
  for (const [name, handler] of [['proxy', plan.proxy] as const, ['dns', plan.dns] as const]) {
    const path = join(folder, 'sand', `${name}.sock`);
    if (handler) servers.push(await listenAt(path, handler));
    if (handler) chmodSync(path, 0o666);
  }
  const extra = plan.capabilities ?? ['net_admin', 'net_raw', 'sys_admin'];
  const capabilities = `-all,${[...KEPT.split(','), ...extra].map((name) => `+${name}`).join(',')}`;
  const args = plan.args ?? ['serve', '--port', '80', '--port', '443'];
  const command = [...(plan.emulator === undefined ? [] : [plan.emulator]), '/.sand/bin/sand-relay'];
  const outer = spawn(
    'unshare',
    [
      ...['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', SETUP, 'sh'],
      ...[folder, dirname(process.execPath), capabilities, plan.wrapper ?? '', ...command, ...args],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const ended = outlast(outer);
  const enter = (pid: number, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    spawn(
      'nsenter',
      [
        ...['-t', String(pid), '-n', '-m', '-p', '-r', '-w', 'setpriv', `--bounding-set=${capabilities}`],
        ...[...command, ...args],
      ],
      { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env } },
    );
  const close = async () => {
    outer.kill('SIGKILL');
    await ended;
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const pid = await until(() => outer.exitCode !== null || firstChild(outer.pid ?? 0), 'a first process');
    let runs = 0;
    const guest: TestGuest = {
      folder,
      pid: Number(pid),
      ended,
      close,
      relay: (args, input = '') => finish(enter(Number(pid), args), input),
      start: (args) => enter(Number(pid), args),
      run: (command, { user = '', workdir, env = {}, id = `run-${++runs}` } = {}) =>
        finish(
          enter(
            Number(pid),
            ['run', '--id', id, '--user', user, ...(workdir ? ['--workdir', workdir] : []), '--', ...command],
            env,
          ),
          '',
        ),
      node: (program, options) => guest.run(['/node/node', '-e', program], options),
    };
    if (plan.withoutReady) return guest;
    const readiness = await readyWhenThere(guest, outer);
    if (readiness.code !== 0)
      throw new Error(`the guest is not ready: ${readiness.stdout}${readiness.stderr}`);
    return guest;
  } catch (error) {
    outer.kill('SIGKILL');
    const { stderr } = await ended;
    await close();
    throw new Error(`no guest: ${stderr}`, { cause: error });
  }
}

/** The first process is the shell of the set-up until it has become the program. */
async function readyWhenThere(guest: TestGuest, outer: ChildProcess): Promise<Finished> {
  await until(() => {
    if (outer.exitCode !== null) return true;
    try {
      const line = readFileSync(`/proc/${guest.pid}/cmdline`, 'latin1');
      return line.includes('sand-relay\0serve') && !line.includes('bounding-set');
    } catch {
      return false;
    }
  }, 'the program in its place');
  return guest.relay(['ready']);
}

/** Without a deadline: it lasts as long as its guest. */
async function outlast(child: ChildProcess): Promise<Finished> {
  const texts = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => {
    texts.stdout += chunk.toString('latin1');
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    texts.stderr += chunk.toString('latin1');
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, ...texts };
}
