/**
 * A running guest: its namespaces, its cable with `softnet` at the end, and the process that is its kernel to it. All of it dies with
 * the process that started it. What an end means to the caller is decided by run.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../container/failure.ts';
import { forgetProcess, recordProcess } from '../../container/processes.ts';
import { failureOf, readReport } from '../../container/runtime/child.ts';
import { endsOf } from '../../container/runtime/ends.ts';
import { rootParts } from '../../container/runtime/namespaces/parts.ts';
import { compiledProgram, entryProgram } from '../../container/runtime/namespaces/program.ts';
import type { TartHome } from '../home.ts';
import type { Share } from '../shares.ts';
import type { Softnet } from '../softnet.ts';
import type { Vm } from '../vms.ts';
import type { AgentRequest } from './frames.ts';
import { guestCapabilities, planBoot, planExec } from './plan.ts';
import { CARDS } from './scripts.ts';

const CABLE = fileURLToPath(new URL('cable.py', import.meta.url));
const SUDO = fileURLToPath(new URL('sudo.c', import.meta.url));
/** Folders of Linux that macOS has not. */
const NOT_ON_MACS_ROOT = ['run', 'mnt', 'media', 'srv'];
const EMPTY_ROOT = ['bin', 'sbin', 'usr', 'etc', 'lib'];
/** For a process that was told to end. */
const END_MS = 5000;

export interface Cable {
  /** Resolves with the status of `softnet`, below 0 for a signal. */
  readonly ended: Promise<number>;
  /** The guest's card is in its network namespace once this has resolved. */
  plug(pid: number): Promise<void>;
  /** Interrupts `softnet`, waits for its end, and ends it where it does not. */
  stop(): Promise<void>;
  /** As if it had crashed. */
  kill(): void;
}

/** Rejects where `softnet` cannot be started, or the control descriptor is none. */
export function startCable(home: TartHome, vm: Vm, softnet: Softnet, cwd: string): Promise<Cable> {
  const plan = {
    softnet: softnet.program,
    arguments: softnet.arguments,
    hasControl: softnet.controlFd !== null,
    cwd,
    card: CARDS[vm.config.os],
    mac: vm.config.macAddress,
  };
  const child = spawn(findProgram('python3'), [CABLE, JSON.stringify(plan)], {
    stdio: ['pipe', 'inherit', 'inherit', 'pipe', softnet.controlFd ?? 'ignore'],
  });
  if (child.pid !== undefined) recordProcess(home, child.pid);
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  const { promise: up, resolve: goUp, reject: failUp } = Promise.withResolvers<void>();
  up.catch(() => {});
  const tell = (line: string) => child.stdin?.write(`${line}\n`);
  child.stdin?.on('error', () => {});
  return new Promise((resolve, reject) => {
    let pid = 0;
    const closed = readReport(endsOf(child), (word, rest) => {
      if (word === 'softnet') {
        pid = Number(rest);
        recordProcess(home, pid);
        const plug = (guest: number) => {
          tell(`guest ${guest}`);
          return up;
        };
        resolve({ ended, plug, stop: () => stopCable(child, ended, tell), kill: () => tell('kill') });
      }
      if (word === 'up') goUp();
      if (word === 'ended') {
        forgetProcess(home, pid);
        end(Number(rest));
      }
      if (word === 'failed') {
        const failure = new Failure(describeFailure(rest));
        reject(failure);
        failUp(failure);
      }
    });
    child.once('error', reject);
    closed.then(() => {
      if (child.pid !== undefined) forgetProcess(home, child.pid);
      reject(new Failure('python3 holds the cable of emulated guests, and ended at once'));
      end(-1);
    });
  });
}

function describeFailure(text: string): string {
  const [kind, ...rest] = text.split(' ');
  if (kind === 'control') return `Softnet control file descriptor ${rest.join(' ')}`;
  return kind === 'start' ? `Softnet failed to start: ${rest.join(' ')}` : text;
}

async function stopCable(
  child: ChildProcess,
  ended: Promise<number>,
  tell: (line: string) => void,
): Promise<void> {
  tell('stop');
  const { promise: late, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => resolve('late'), END_MS);
  if ((await Promise.race([ended, late])) === 'late') tell('kill');
  clearTimeout(timer);
  await ended;
  const { promise: gone, resolve: leave } = Promise.withResolvers<void>();
  child.once('close', () => leave());
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  else leave();
  await gone;
}

export interface Machine {
  /** On the host. */
  readonly init: number;
  /** Resolves with the status of the guest's first process, 0 where it has shut itself down. */
  readonly ended: Promise<number>;
  /** By the first process itself, as at a press of the power button. */
  shutDown(): void;
  /** At once. */
  powerOff(): void;
  /** Of its card; null while it has none. */
  address(): string | null;
  /** Steps of entry.c that run a command in it. */
  planExec(request: AgentRequest & { kind: 'exec' }): readonly string[];
}

export function bootMachine(home: TartHome, vm: Vm, shares: readonly Share[]): Promise<Machine> {
  const { os } = vm.config;
  const workFolder = join(vm.folder, 'guest');
  const root = vm.disk.root ?? emptyRoot(vm);
  mkdirSync(workFolder, { recursive: true });
  const parts = rootParts(workFolder, root, [], null);
  const absent = os === 'darwin' ? NOT_ON_MACS_ROOT.filter((name) => existsSync(join(root, name))) : [];
  const capabilities = guestCapabilities(heldCapabilities());
  const steps = planBoot({
    ...parts,
    hidden: [
      ...new Set([...parts.hidden, ...absent, ...vm.disk.without.flatMap((name) => placesOf(root, name))]),
    ],
    emptied: parts.emptied.filter((name) => !absent.includes(name)),
    os,
    hostname: vm.name.split('.')[0] ?? vm.name,
    shares,
    hostUid: process.getuid?.() ?? 0,
    hostGid: process.getgid?.() ?? 0,
    capabilities,
    busybox: findProgram('busybox'),
    sudo: compiledProgram(SUDO, 'sudo', ['-static']),
    passwd: readIf(join(root, 'etc/passwd')),
    group: readIf(join(root, 'etc/group')),
    without: vm.disk.without,
    hasZsh: existsSync(join(root, 'bin/zsh')),
    boots: vm.disk.root !== null,
  });
  const child = spawn(entryProgram(), steps, {
    cwd: '/',
    env: {},
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'ignore'],
  });
  return follow(home, child, (init, request) => planExec(init, os, capabilities, request));
}

type ExecPlan = (init: number, request: AgentRequest & { kind: 'exec' }) => readonly string[];

function follow(home: TartHome, child: ChildProcess, planOf: ExecPlan): Promise<Machine> {
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  for (const output of [child.stdout, child.stderr]) discard(output);
  return new Promise((resolve, reject) => {
    let status = -1;
    let init = 0;
    const closed = readReport(endsOf(child), (word, rest) => {
      const failure = failureOf(word, rest);
      if (failure !== null) reject(failure);
      if (word === 'exited') {
        status = Number(rest);
        forgetProcess(home, init);
        end(status);
      }
      if (word !== 'started') return;
      init = Number(rest);
      recordProcess(home, init);
      const signal = (name: NodeJS.Signals) => () => {
        try {
          process.kill(init, name);
        } catch {
          // It has ended already.
        }
      };
      resolve({
        init,
        ended,
        shutDown: signal('SIGTERM'),
        powerOff: signal('SIGKILL'),
        address: () => addressOf(init),
        planExec: (request) => planOf(init, request),
      });
    });
    child.once('error', reject);
    closed.then(() => {
      reject(new Failure('the guest ended before it was started'));
      end(status);
    });
  });
}

function heldCapabilities(): bigint {
  const held = /^CapPrm:\s*([0-9a-f]+)$/m.exec(readIf('/proc/self/status'))?.[1];
  return BigInt(`0x${held ?? '0'}`);
}

function discard(output: Readable | null): void {
  output?.resume();
}

/** The kernel's own list of what is local there. */
function addressOf(init: number): string | null {
  const lines = readIf(`/proc/${init}/net/fib_trie`).split('\n');
  for (const [at, line] of lines.entries()) {
    const address = /\|-- ([0-9.]+)$/.exec(line)?.[1];
    if (address !== undefined && !address.startsWith('127.') && /32 host LOCAL/.test(lines[at + 1] ?? ''))
      return address;
  }
  return null;
}

const PROGRAM_FOLDERS = ['usr/bin', 'usr/sbin', 'usr/local/bin', 'usr/local/sbin', 'bin', 'sbin'];

/** Where a program lies; of folders that are links to others nothing is taken away. */
function placesOf(root: string, name: string): readonly string[] {
  return PROGRAM_FOLDERS.filter((folder) => !isLink(join(root, folder)))
    .map((folder) => join(folder, name))
    .filter((path) => isLink(join(root, path)) || existsSync(join(root, path)));
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function emptyRoot(vm: Vm): string {
  const root = join(vm.folder, 'empty');
  for (const name of EMPTY_ROOT) mkdirSync(join(root, name), { recursive: true });
  return root;
}

/** The system's own: what is first in PATH may be a script that looks for another. */
function findProgram(name: string): string {
  const found = ['/usr/bin', '/bin', '/usr/local/bin']
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  if (found === undefined) throw new Failure(`guests of the emulator need ${name}`);
  return found;
}

function readIf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
