/** Calls of the emulated `tart` for its own tests: a HOME of its own, an image, VMs that boot with the tests' own `softnet`, and the end of it all. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { identify } from './container/processes.ts';
import { eventually, type Result, resultOf } from './container-call.ts';
import { endTart, registerTartImage, registerTartVm, TART_BIN, type TartImage } from './tart/emulation.ts';

export const IMAGE = 'registry.example/org/macos:latest';

const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
const SOFTNET = fileURLToPath(new URL('tart-softnet', import.meta.url));

export interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<Result>;
}

export interface EmulatedTart {
  readonly home: string;
  call(...words: readonly string[]): Promise<Result>;
  callWith(input: string, ...words: readonly string[]): Promise<Result>;
  begin(...words: readonly string[]): ChildProcess;
  /** `tart run NAME --net-softnet` with the options, once the agent answers. */
  boot(name: string, ...options: readonly string[]): Promise<Run>;
  /** The same without waiting for anything. */
  start(name: string, options: readonly string[], stdio?: readonly (number | 'pipe')[]): Run;
  /** What `softnet` was started with last. */
  told(): { argv: string[]; pid: number; ppid: number; family: string; type: string; stdout: string };
  /** A local VM. */
  make(name: string, image: TartImage): void;
  end(): Promise<void>;
}

/** The deadline is that of a call, and of a boot. */
export function createTart(deadlineMs?: number): EmulatedTart {
  const home = mkdtempSync(join(tmpdir(), 'tart-'));
  const told = join(home, 'told.json');
  registerTartImage(home, IMAGE, { os: 'darwin' });
  const env = { HOME: home, PATH: `${SOFTNET}:${SYSTEM_PATH}`, SOFTNET_TOLD: told };
  const spawnTart = (words: readonly string[], stdio: readonly (number | 'pipe')[]) =>
    spawn(join(TART_BIN, 'tart'), words, { env, stdio: [...stdio] });
  const begin = (...words: readonly string[]) => spawnTart(words, ['pipe', 'pipe', 'pipe']);
  const callWith = (input: string, ...words: readonly string[]) => {
    const child = begin(...words);
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
    return resultOf(child, deadlineMs);
  };
  const call = (...words: readonly string[]) => callWith('', ...words);
  const start: EmulatedTart['start'] = (name, options, stdio = ['pipe', 'pipe', 'pipe']) => {
    const child = spawnTart(['run', name, '--no-graphics', ...options], stdio);
    return { child, ended: resultOf(child, RUN_MS) };
  };
  const boot = async (name: string, ...options: readonly string[]) => {
    rmSync(told, { force: true });
    const run = start(name, ['--net-softnet', ...options]);
    let gone: Result | null = null;
    run.ended.then((result) => {
      gone = result;
    });
    const answers = async () => {
      if (gone !== null) throw new Error(`tart run ended: ${JSON.stringify(gone)}`);
      return existsSync(told) && (await call('exec', name, '/usr/bin/true')).status === 0;
    };
    await eventually(`the agent of ${name} answers`, answers, deadlineMs);
    return run;
  };
  const end = async () => {
    await endTart(home);
    rmSync(home, { recursive: true, force: true });
  };
  return {
    ...{ home, call, callWith, begin, boot, start, end },
    told: () => JSON.parse(readFileSync(told, 'utf8')),
    make: (name, image) => registerTartVm(home, name, image),
  };
}

/** Longer than all tests of a file. */
const RUN_MS = 600_000;

/** A descriptor that is no socket. */
export function openFile(home: string): { fd: number; close(): void } {
  mkdirSync(home, { recursive: true });
  const fd = openSync(join(home, 'file'), 'w');
  return { fd, close: () => closeSync(fd) };
}

export function isThere(pid: number): boolean {
  return identify(pid) !== null;
}
