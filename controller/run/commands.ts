/**
 * The commands of a run, one after another in one guest: each that ends well ends a phase of the policy, and the
 * last is the command itself. Decides the order; how a command runs is the backend's.
 */
import type { PolicyCourse } from './policy-course.ts';

export interface CommandRun {
  readonly course: PolicyCourse;
  /** Runs a command in the guest to its end; gives its exit code. */
  readonly exec: (argv: readonly string[]) => Promise<number>;
  readonly moveOn: (by: 'command') => Promise<unknown>;
  /** Aborted when the run is to end. */
  readonly signal: AbortSignal;
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
  return exec(command);
}
