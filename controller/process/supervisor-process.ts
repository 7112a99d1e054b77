/**
 * The process that a guest in the background is left to: this very program again, in a session of its own, told what to
 * do over its standard input. What is said there is `run/supervisor.ts`'s.
 */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

export interface SupervisorProcess {
  readonly stdout: Readable;
  readonly stderr: Readable;
  kill(signal: NodeJS.Signals): void;
  /** From then on this process can end without it, and does not hear of it any more. */
  leave(): void;
}

/** `input` is all that it ever reads. It outlives this process, and no signal of the caller's terminal meets it. */
export function startSupervisorProcess(command: string, input: string): SupervisorProcess {
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', command], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // It may be gone already, which its silence tells.
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return {
    stdout: child.stdout,
    stderr: child.stderr,
    kill: (signal) => void child.kill(signal),
    leave() {
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
      child.unref();
    },
  };
}
