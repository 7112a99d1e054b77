/** Ends a process of the link, and says so where it stays. */
import type { ChildProcess } from 'node:child_process';
import { SandError } from '../../errors.ts';

const STOP_TIMEOUT_MS = 2_000;

/** Idempotent. Raises `teardown-failed`. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  // With its standard error, everything that inherited it has ended: whatever it started, and itself.
  const ended = new Promise<boolean>((resolve) => child.once('close', () => resolve(true)));
  // The end of its input is for a process that was not tied to this one yet when the signal came.
  child.stdin?.destroy();
  child.kill('SIGKILL');
  const { promise: late, resolve: give } = Promise.withResolvers<boolean>();
  const timer = setTimeout(give, STOP_TIMEOUT_MS, false);
  const inTime = await Promise.race([ended, late]);
  clearTimeout(timer);
  if (inTime) return;
  throw new SandError(
    'teardown-failed',
    `the link\u2019s processes did not end within ${STOP_TIMEOUT_MS} ms (${child.pid})`,
    'look at that process and what it started, and end them',
  );
}
