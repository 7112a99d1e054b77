/**
 * Starts programs for the action: one that is asked something, with bounded answers, and one whose output goes to the log of
 * the job. Decides nothing about what they are.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { LIMITS } from './limits.ts';

export interface Program {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface Answer {
  /** 127 where the program cannot be started, 124 where it did not end in time. */
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Never rejects. What is printed beyond the bound is not read. */
export function ask(program: Program, timeoutMs: number, input = ''): Promise<Answer> {
  const [file = '', ...args] = program.argv;
  const child = spawn(file, args, { cwd: program.cwd, env: program.environment, stdio: 'pipe' });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  return new Promise((resolve) => {
    const end = (code: number, why = '') => {
      clearTimeout(deadline);
      resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() + why });
    };
    child.on('error', (error) => end(127, error.message));
    child.on('close', (code) => end(isLate ? 124 : (code ?? 125)));
  });
}

function collect(stream: NodeJS.ReadableStream): readonly Buffer[] {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    if (bytes >= LIMITS.outputBytes) return;
    bytes += chunk.length;
    chunks.push(chunk);
  });
  return chunks;
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Both streams become one, in `out`: the runner reads two at once, so that what is said on one about commands would not hold
 * for the other. The program never holds the runner's own pipe, which it could read as well. Gives the exit code, and whether the
 * last line is whole.
 */
export async function relay(
  program: Program,
  out: NodeJS.WritableStream,
): Promise<{ readonly code: number; readonly endsLine: boolean }> {
  const [file = '', ...args] = program.argv;
  const child = spawn(file, args, {
    cwd: program.cwd,
    env: program.environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // A job that is cancelled ends its guest: sand does that in order.
  const pass = SIGNALS.map((signal) => [signal, () => child.kill(signal)] as const);
  for (const [signal, send] of pass) process.on(signal, send);
  let endsLine = true;
  const pump = async (stream: AsyncIterable<Buffer>) => {
    for await (const chunk of stream) {
      endsLine = chunk.at(-1) === 0x0a;
      if (!out.write(chunk)) await once(out, 'drain');
    }
  };
  try {
    const ended = new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve(code ?? 125));
    });
    const [code] = await Promise.all([ended, pump(child.stdout), pump(child.stderr)]);
    return { code, endsLine };
  } finally {
    for (const [signal, send] of pass) process.off(signal, send);
  }
}
