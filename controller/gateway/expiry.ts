/**
 * Tells when a rule in force passes its `until`, so that what it alone allowed can be ended. Decides the moment
 * only; who ends what is the proxy's.
 */
import type { PolicyInForce } from '../../policies/model.ts';

/** The wall clock can be set, and a timer counts no more than 24 days: the moment is looked for anew this often. */
const LONGEST_WAIT_MS = 30_000;

/** When the next rule passes its `until`, in milliseconds since the epoch; null where none will. Pure. */
export function nextExpiry({ policy, ceilings }: PolicyInForce, nowMs: number): number | null {
  let next = Number.POSITIVE_INFINITY;
  for (const { rules } of [policy, ...ceilings]) {
    for (const { untilMs = next } of rules) if (untilMs > nowMs && untilMs < next) next = untilMs;
  }
  return Number.isFinite(next) ? next : null;
}

export interface ExpiryWatch {
  /** From now on the rules of this policy are watched. */
  replace(inForce: PolicyInForce): void;
  close(): void;
}

/** `expired` is called in the turn in which a rule has passed its `until`. `clock` gives milliseconds since the epoch. */
export function watchExpiry(inForce: PolicyInForce, clock: () => number, expired: () => void): ExpiryWatch {
  let watched = inForce;
  let next = nextExpiry(watched, clock());
  let timer: NodeJS.Timeout | null = null;
  const wait = (): void => {
    timer = null;
    if (next === null) return;
    timer = setTimeout(look, Math.min(LONGEST_WAIT_MS, Math.max(0, next - clock())));
    timer.unref();
  };
  const look = (): void => {
    const nowMs = clock();
    const isOver = next !== null && nowMs >= next;
    if (isOver) next = nextExpiry(watched, nowMs);
    if (isOver) expired();
    wait();
  };
  wait();
  return {
    replace(other) {
      watched = other;
      next = nextExpiry(watched, clock());
      if (timer !== null) clearTimeout(timer);
      wait();
    },
    close() {
      next = null;
      if (timer !== null) clearTimeout(timer);
    },
  };
}
