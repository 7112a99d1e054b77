/**
 * The commands of a run, one after another in one guest: each that ends well ends a phase of the policy, and the
 * last is the command itself. Decides the order; how a command runs is the backend's.
 */
import type { PolicyCourse } from './policy-course.ts';

const LONG_MS = 3_600_000;

export interface CommandRun {
  readonly course: PolicyCourse;
  /** Runs a command in the guest to its end; gives its exit code. */
  readonly exec: (argv: readonly string[]) => Promise<number>;
  readonly moveOn: (by: 'command') => Promise<unknown>;
  /** Aborted when the run is to end. */
  readonly signal: AbortSignal;
}

/** A guest without a command is held until somebody ends it. */
function untilAborted(signal: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    // Nothing else need keep the process: the guest's own connections come and go.
    const life = setInterval(() => {}, LONG_MS);
    const end = () => {
      clearInterval(life);
      resolve(0);
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

/** Gives the exit code of the last command that ran: the first that failed, else the command's own. */
export async function runCommands(
  { before, command }: { readonly before: readonly string[]; readonly command: readonly string[] },
  { course, exec, moveOn, signal }: CommandRun,
): Promise<number> {
  for (const [at, text] of before.entries()) {
    const code = await exec(['/bin/sh', '-c', text]);
    // Fail closed: after a set-up that failed or was ended, nothing runs, and no phase begins.
    if (code !== 0 || signal.aborted) return code;
    // The first such command ends the first phase, wherever somebody has moved the guest meanwhile.
    if (course.number <= at + 1) await moveOn('command');
  }
  signal.throwIfAborted();
  return command.length === 0 ? untilAborted(signal) : exec(command);
}
