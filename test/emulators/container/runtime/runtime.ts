/**
 * What a runtime of guests does for the verbs. Those that are there stand in `runtimes.ts`.
 * A runtime knows nothing of the command line, and a verb nothing of how a guest comes about.
 */
import type { Container, Process, RunState } from '../containers.ts';
import type { Home } from '../home.ts';
import type { Settings } from '../settings.ts';

export interface Stdio {
  readonly isInteractive: boolean;
  /** Whether output is wanted; without it the process goes on by itself. */
  readonly isAttached: boolean;
}

export interface Ended {
  /** As a shell tells it: 128+N for a signal; 255 where the guest vanished. */
  readonly status: number;
}

export interface RunningProcess {
  readonly ended: Promise<Ended>;
  resize(rows: number, columns: number): void;
}

export interface Runtime {
  /** Resolves once the entrypoint runs; rejects with a `Failure` where it does not. The guest outlives the caller. */
  start(home: Home, settings: Settings, container: Container, stdio: Stdio): Promise<RunningProcess>;
  /** One more process in a guest that runs; it outlives the caller as well. */
  exec(
    home: Home,
    settings: Settings,
    container: Container & { readonly running: RunState },
    process: Process,
    stdio: Stdio,
  ): Promise<RunningProcess>;
  /** To the entrypoint. */
  signal(container: Container, signal: NodeJS.Signals): void | Promise<void>;
  /** Resolves when nothing of the guest is left: ends it at once, after it was given its time by the verb. */
  stop(container: Container): Promise<void>;
  /** Where the guest's files can be read from the host, for `copy`. */
  rootOf(container: Container & { readonly running: RunState }): string;
}
