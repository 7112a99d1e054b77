/** How a run comes to its end: why, who else is told, and how much time is left to what runs in the guest. */
import type { RunEnd } from '../../audit/event.ts';

/** How long a command may take to end after SIGTERM, where nobody says otherwise. */
export const STOP_GRACE_MS = 10_000;

export interface WayOut {
  /** Aborted with the reason when the run is to end. */
  readonly signal: AbortSignal;
  /** Aborted when whatever runs is to end at once. */
  readonly killed: AbortSignal;
  /** The first cause counts; a later end can only shorten the grace. */
  end(cause: RunEnd['cause'], reason?: unknown, graceMs?: number): void;
  kill(): void;
  /** `exit` until something else ends the run. */
  cause(): RunEnd['cause'];
  /** Milliseconds; 0 where the command has ended by itself. */
  graceLeftMs(): number;
}

export function createWayOut(now: () => number = () => performance.now()): WayOut {
  const stop = new AbortController();
  const kill = new AbortController();
  let cause: RunEnd['cause'] = 'exit';
  let killAt = Number.POSITIVE_INFINITY;
  return {
    signal: stop.signal,
    killed: kill.signal,
    end(why, reason, graceMs = STOP_GRACE_MS) {
      killAt = Math.min(killAt, now() + graceMs);
      if (graceMs === 0) kill.abort();
      if (stop.signal.aborted) return;
      cause = why;
      stop.abort(reason);
    },
    kill: () => kill.abort(),
    cause: () => cause,
    graceLeftMs: () => (stop.signal.aborted && !kill.signal.aborted ? Math.max(0, killAt - now()) : 0),
  };
}
