/** Waiting for a condition with a deadline, and following a process that a test has started. */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

/** Longer than anything here takes on a loaded machine; a test that meets it has failed. */
const DEADLINE_MS = 20_000;
const POLL_MS = 20;

/** The first value that is neither null, undefined nor false. Rejects at the deadline, with what was awaited. */
export async function until<T>(
  what: string,
  look: () => T | null | undefined | false,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  for (const startedAt = performance.now(); ; await delay(POLL_MS)) {
    const value = look();
    if (value !== null && value !== undefined && value !== false) return value;
    if (performance.now() - startedAt > deadlineMs) throw new Error(`waited ${deadlineMs} ms for ${what}`);
  }
}

export interface Followed {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Resolves once that text has been printed on either stream. */
  printed(text: string, deadlineMs?: number): Promise<void>;
  /** Exit code, or 128+N for a signal; rejects at the deadline, after a kill. */
  ended(deadlineMs?: number): Promise<number>;
}

const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

export function follow(child: ChildProcess): Followed {
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
    });
  }
  child.stdin?.on('error', () => {});
  let code: number | null = null;
  child.on('close', (exitCode, signal) => {
    code = exitCode ?? 128 + (SIGNALS[signal ?? ''] ?? 0);
  });
  const said = () => `\nstdout: ${text.stdout.slice(-2_000)}\nstderr: ${text.stderr.slice(-2_000)}`;
  return {
    child,
    pid: child.pid ?? 0,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    async printed(part, deadlineMs) {
      await until(
        `the text ${JSON.stringify(part)}`,
        () => text.stdout.includes(part) || text.stderr.includes(part) || code !== null,
        deadlineMs,
      );
      if (!text.stdout.includes(part) && !text.stderr.includes(part)) {
        throw new Error(`ended with ${code} before it printed ${JSON.stringify(part)}${said()}`);
      }
    },
    async ended(deadlineMs = DEADLINE_MS) {
      try {
        return await until(
          'the end of the process',
          () => (code === null ? null : { code }),
          deadlineMs,
        ).then((end) => end.code);
      } catch (error) {
        child.kill('SIGKILL');
        throw new Error(`${String(error)}${said()}`);
      }
    },
  };
}
