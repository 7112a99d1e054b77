/** Calls of the emulated `container` for its own tests: a HOME of its own, an image that is the host's system, and the end of it all. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EMULATOR_BIN, endEmulator, registerImage } from './container/emulation.ts';

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Emulated {
  /** A short path: sockets lie below it. */
  readonly home: string;
  call(...words: readonly string[]): Promise<Result>;
  callWith(input: string, ...words: readonly string[]): Promise<Result>;
  /** Does not wait. */
  begin(...words: readonly string[]): ChildProcess;
  /** A container `sleep` from the image `host`, started. */
  boot(name: string, ...options: readonly string[]): Promise<void>;
  end(): Promise<void>;
}

const DEADLINE_MS = 20_000;
const POLL_MS = 20;

/** Guests need namespaces and mounts of their own. */
export const WITHOUT_GUESTS = process.platform !== 'linux' || process.getuid?.() !== 0;

export function createEmulated(deadlineMs = DEADLINE_MS): Emulated {
  const home = mkdtempSync(join(tmpdir(), 'ctr-'));
  registerImage(home, 'host', {
    root: '/',
    config: { Env: ['PATH=/usr/local/bin:/usr/bin:/bin'], Cmd: ['true'] },
  });
  const begin = (...words: readonly string[]) =>
    spawn(join(EMULATOR_BIN, 'container'), words, { env: { HOME: home }, stdio: ['pipe', 'pipe', 'pipe'] });
  const callWith = (input: string, ...words: readonly string[]) => {
    const child = begin(...words);
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
    return resultOf(child, deadlineMs);
  };
  const call = (...words: readonly string[]) => callWith('', ...words);
  const boot = async (name: string, ...options: readonly string[]) => {
    const sleep = ['--entrypoint', 'sleep', '--', 'host', '1000'];
    const made = await call('create', '--name', name, '--network', 'none', ...options, ...sleep);
    const started = await call('start', name);
    if (made.status !== 0 || started.status !== 0) throw new Error(made.stderr + started.stderr);
  };
  const end = async () => {
    await endEmulator(home);
    rmSync(home, { recursive: true, force: true });
  };
  return { home, call, callWith, begin, boot, end };
}

/** A call that does not end in time is killed, and has no status. */
export async function resultOf(child: ChildProcess, deadlineMs = DEADLINE_MS): Promise<Result> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  return { status, stdout, stderr };
}

export async function eventually(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await delay(POLL_MS);
  }
}
