/**
 * Gaps that no request shows: sand itself stood still (the machine slept, the process was stopped), or the host's clock was set.
 * Decides what of that goes into the log, whose times would mislead otherwise.
 */
import type { Notice } from '../../audit/event.ts';

/** One look costs microseconds, and a gap is told within a breath of its end. */
const LOOK_MS = 1_000;
/** A loaded machine runs a timer late by seconds; more is a gap. */
const PAUSE_MS = 10_000;
/** Clocks are slewed by milliseconds all the time. */
const STEP_MS = 2_000;

export interface ClockReading {
  /** Of a clock that only runs forward, and may stand while the machine sleeps. */
  readonly steadyMs: number;
  /** Milliseconds since the epoch. */
  readonly wallMs: number;
}

/** What two looks, one after the other, show. Pure. */
export function judgeClocks(before: ClockReading, after: ClockReading): Notice | null {
  const steady = after.steadyMs - before.steadyMs;
  const step = after.wallMs - before.wallMs - steady;
  if (steady >= LOOK_MS + PAUSE_MS) {
    const detail = `sand stood still for ${seconds(steady)}: what the guest asked meanwhile waited`;
    return { kind: 'notice', code: 'sand-paused', detail };
  }
  if (Math.abs(step) < STEP_MS) return null;
  const way = step > 0 ? 'forward' : 'back';
  const detail = `the host\u2019s clock went ${way} by ${seconds(Math.abs(step))} at once: it was set, or the machine slept`;
  return { kind: 'notice', code: 'clock-changed', detail };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Gives what ends the watching. */
export function watchClocks(
  record: (notice: Notice) => void,
  read: () => ClockReading = () => ({ steadyMs: performance.now(), wallMs: Date.now() }),
): () => void {
  let before = read();
  const timer = setInterval(() => {
    const after = read();
    const notice = judgeClocks(before, after);
    before = after;
    if (notice !== null) record(notice);
  }, LOOK_MS).unref();
  return () => clearInterval(timer);
}
