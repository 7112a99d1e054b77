/**
 * One bounded try of a tool, as a value: it ran, it is not there, or it did not end. Leaves what its output
 * means to whoever asked.
 */
import { SandError } from '../errors.ts';
import { runTool } from '../process/runner.ts';

export type Attempt =
  | { readonly kind: 'ran'; readonly exitCode: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'slow'; readonly timeoutMs: number }
  /** It was killed, flooded its output, or is no program. */
  | { readonly kind: 'broken'; readonly detail: string };

/** A tool that sets up a guest answers within tens of milliseconds; one that takes longer than this hangs. */
export const ATTEMPT_TIMEOUT_MS = 5_000;

/** For a tool whose descendants outlive its end and hold its output open. */
const SETTLE_MS = 1_000;

/** Never rejects, and never takes much longer than `timeoutMs`. */
export async function attemptTool(
  file: string,
  args: readonly string[],
  input = '',
  timeoutMs = ATTEMPT_TIMEOUT_MS,
  environment: Readonly<Record<string, string>> = {},
): Promise<Attempt> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Attempt>((resolve) => {
    timer = setTimeout(() => resolve({ kind: 'slow', timeoutMs }), timeoutMs + SETTLE_MS);
  });
  try {
    return await Promise.race([runOnce(file, args, input, timeoutMs, environment), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function runOnce(
  file: string,
  args: readonly string[],
  input: string,
  timeoutMs: number,
  environment: Readonly<Record<string, string>>,
): Promise<Attempt> {
  try {
    const { exitCode, stdout, stderr, timedOut } = await runTool(file, args, {
      timeoutMs,
      input,
      environment,
    });
    if (timedOut) return { kind: 'slow', timeoutMs };
    if (exitCode === null)
      return { kind: 'broken', detail: stderr === '' ? 'it did not end by itself' : stderr };
    return { kind: 'ran', exitCode, stdout, stderr };
  } catch (error) {
    if (error instanceof SandError && error.code === 'tool-missing') return { kind: 'missing' };
    return { kind: 'broken', detail: error instanceof Error ? error.message : String(error) };
  }
}

/** Whether it ran and said that it was fine. */
export function succeeded(attempt: Attempt): boolean {
  return attempt.kind === 'ran' && attempt.exitCode === 0;
}

/** Why an attempt did not succeed, as the end of a sentence. */
export function describeAttempt(attempt: Attempt): string {
  switch (attempt.kind) {
    case 'missing':
      return 'it is not installed';
    case 'slow':
      return `it did not end within ${attempt.timeoutMs} ms`;
    case 'broken':
      return attempt.detail;
    case 'ran':
      return attempt.stderr.trim() || attempt.stdout.trim() || `it ended with ${attempt.exitCode}`;
  }
}
