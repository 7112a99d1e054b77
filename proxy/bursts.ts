/**
 * Refusals that repeat by the thousand, told once: the first of a burst is recorded by itself, those that follow
 * by their number. Decides what is told when; the ledger records.
 */
import type { Reason } from '../policies/reasons.ts';
import { PROXY_BOUNDS } from './limits.ts';

interface Burst {
  untold: number;
  readonly timer: NodeJS.Timeout;
}

/** A burst is over once a whole interval has passed without a refusal for its reason. */
export class Bursts {
  readonly #tell: (reason: Reason, count: number) => void;
  readonly #bursts = new Map<Reason, Burst>();

  /** `tell` is called at most once in each interval and reason, and by `end`. */
  constructor(tell: (reason: Reason, count: number) => void) {
    this.#tell = tell;
  }

  /** True for the first of a burst, which the caller records; the others are counted. */
  begins(reason: Reason): boolean {
    const burst = this.#bursts.get(reason);
    if (burst !== undefined) {
      burst.untold += 1;
      return false;
    }
    const timer = setInterval(() => this.#turn(reason), PROXY_BOUNDS.burstMs);
    timer.unref();
    this.#bursts.set(reason, { untold: 0, timer });
    return true;
  }

  /** Tells what is not told yet, and leaves no timer behind. */
  end(): void {
    for (const [reason, { untold, timer }] of this.#bursts) {
      clearInterval(timer);
      if (untold > 0) this.#tell(reason, untold);
    }
    this.#bursts.clear();
  }

  #turn(reason: Reason): void {
    const burst = this.#bursts.get(reason);
    if (burst === undefined) return;
    const { untold } = burst;
    burst.untold = 0;
    if (untold > 0) {
      this.#tell(reason, untold);
      return;
    }
    clearInterval(burst.timer);
    this.#bursts.delete(reason);
  }
}
