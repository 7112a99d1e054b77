/**
 * A folder and the processes of one benchmark, gone together on every way out: at the end, on an error, and when
 * this process exits. A process that is still there when this one is killed dies with it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A server that does not answer by then does not come up. */
const START_TIMEOUT_MS = 10_000;
const START_POLL_MS = 20;
/** The longest single task is a few seconds. */
const TASK_TIMEOUT_MS = 60_000;

/** Which processors a process may use: the measured servers one, everything else the others. */
export type Processors = 'server' | 'load';

export class Workplace implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'sand-bench-'));
  readonly #children = new Set<ChildProcess>();
  readonly #onExit = (): void => this.#clear();

  constructor() {
    process.on('exit', this.#onExit);
  }

  /** Any program, until the workplace ends; its output goes nowhere. */
  start(argv: readonly string[], processors: Processors): ChildProcess {
    return this.#spawn(argv, processors, ['ignore', 'ignore', 'ignore']);
  }

  /** A program of this folder that tells a first message when it is ready; see `program.ts`. */
  async startProgram<Ready>(
    path: string,
    settings: unknown,
    processors: Processors,
  ): Promise<Program<Ready>> {
    const argv = [process.execPath, path, JSON.stringify(settings)];
    const child = this.#spawn(argv, processors, ['ignore', 'inherit', 'inherit', 'ipc']);
    const failed = once(child, 'exit').then(([code]) => {
      throw new Error(`${path} ended with ${code}`);
    });
    failed.catch(() => {});
    const first = once(child, 'message', { signal: AbortSignal.timeout(START_TIMEOUT_MS) });
    const [ready] = await Promise.race([first, failed]);
    return { child, ready: ready as Ready, ask: (task) => ask(child, task, failed) };
  }

  async stop(child: ChildProcess): Promise<void> {
    this.#children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [...this.#children]) await this.stop(child);
    process.off('exit', this.#onExit);
    this.#clear();
  }

  #spawn(
    argv: readonly string[],
    processors: Processors,
    stdio: ('ignore' | 'inherit' | 'ipc')[],
  ): ChildProcess {
    const [file = '', ...rest] = [...pinning(processors), 'setpriv', '--pdeathsig', 'KILL', '--', ...argv];
    const child = spawn(file, rest, { stdio, cwd: this.folder });
    child.on('error', () => {});
    this.#children.add(child);
    return child;
  }

  #clear(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.#children.clear();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface Program<Ready> {
  readonly child: ChildProcess;
  readonly ready: Ready;
  /** One task at a time; its answer is the program's next message. */
  ask(task: unknown): Promise<unknown>;
}

async function ask(child: ChildProcess, task: unknown, failed: Promise<never>): Promise<unknown> {
  const answered = once(child, 'message', { signal: AbortSignal.timeout(TASK_TIMEOUT_MS) });
  child.send(task as object);
  const [answer] = await Promise.race([answered, failed]);
  return answer;
}

/** Waits until somebody listens on the port of 127.0.0.1; throws when `child` ends before. */
export async function untilListening(port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
      throw new Error(`${child.spawnfile} does not listen (${child.exitCode ?? child.signalCode ?? 'late'})`);
    }
    await new Promise((resolve) => setTimeout(resolve, START_POLL_MS));
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** A port of 127.0.0.1 that is free now, for programs that cannot tell which one they took. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Path of an installed program; null where there is none. Daemons lie where an ordinary PATH does not look. */
export function findProgram(name: string): string | null {
  const path = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
  try {
    return execFileSync('sh', ['-c', `command -v "$0"`, name], {
      env: { PATH: path },
      encoding: 'utf8',
    }).trim();
  } catch {
    return null;
  }
}

/** The processors of this machine that this process may use. */
export function usableProcessors(): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return list.split(',').flatMap((part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, at) => from + at);
  });
}

export function isPinning(): boolean {
  return usableProcessors().length > 1 && findProgram('taskset') !== null;
}

/** What an argument list begins with. taskset holds for the one process that is started by it, and for nothing else on the machine. */
export function pinning(processors: Processors): readonly string[] {
  if (!isPinning()) return [];
  const [first, ...others] = usableProcessors();
  return ['taskset', '--cpu-list', processors === 'server' ? String(first) : others.join(',')];
}
