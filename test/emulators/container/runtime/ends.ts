/** The ends of a process that entry.c runs, wherever it runs: on this machine it is a child, in a guest's own it is reached through its keeper. */
import type { ChildProcess } from 'node:child_process';
import { Readable, Writable } from 'node:stream';

export interface Ends {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Lines of entry.c. */
  readonly report: Readable | null;
  /** Takes the size of its terminal. */
  readonly resize: Writable | null;
  /** Where it cannot be run at all. */
  onError(listener: (error: Error) => void): void;
  /** Lets this process end before it. */
  leave(): void;
}

export function endsOf(child: ChildProcess): Ends {
  const [, , , report, resize] = child.stdio;
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    report: report instanceof Readable ? report : null,
    resize: resize instanceof Writable ? resize : null,
    onError: (listener) => child.once('error', listener),
    leave() {
      child.unref();
      if (report !== null && report !== undefined && 'unref' in report && typeof report.unref === 'function')
        report.unref();
    },
  };
}
