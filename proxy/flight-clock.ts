/**
 * The two times of one flight: how long it may be without a byte, and how long its connection may live. Tells
 * when one is over; ends nothing itself.
 */

export interface ClockBounds {
  /** Infinite: no such limit. */
  readonly idleMs: number;
  readonly totalMs: number;
}

/** Holds timers until `stop`. Each of the two is told at most once between two settings of its time. */
export class FlightClock {
  readonly #sinceMs: number;
  readonly #onOver: () => void;
  #onIdle: (() => void) | null = null;
  #bounds: ClockBounds;
  #idle: NodeJS.Timeout | null = null;
  #total: NodeJS.Timeout | null = null;

  /** The whole life counts from `sinceMs`, in the time of `performance.now`; idleness from `watch` on. */
  constructor(bounds: ClockBounds, sinceMs: number, onOver: () => void) {
    this.#bounds = bounds;
    this.#sinceMs = sinceMs;
    this.#onOver = onOver;
    this.#startTotal();
  }

  /** From now on a whole `idleMs` without a `touch` is told to `onIdle`. */
  watch(onIdle: () => void): void {
    this.#onIdle = onIdle;
    this.#startIdle();
  }

  /** A byte passed. */
  touch(): void {
    this.#idle?.refresh();
  }

  /** Other bounds from now on; what has run so far of the whole life counts. */
  bound(bounds: ClockBounds): void {
    const known = this.#bounds;
    this.#bounds = bounds;
    if (bounds.totalMs !== known.totalMs) this.#startTotal();
    if (bounds.idleMs !== known.idleMs && this.#onIdle !== null) this.#startIdle();
  }

  stop(): void {
    this.#onIdle = null;
    if (this.#idle !== null) clearTimeout(this.#idle);
    if (this.#total !== null) clearTimeout(this.#total);
    this.#idle = null;
    this.#total = null;
  }

  #startIdle(): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    const { idleMs } = this.#bounds;
    this.#idle = Number.isFinite(idleMs) ? setTimeout(() => this.#onIdle?.(), idleMs) : null;
  }

  #startTotal(): void {
    if (this.#total !== null) clearTimeout(this.#total);
    const { totalMs } = this.#bounds;
    const leftMs = Math.max(0, this.#sinceMs + totalMs - performance.now());
    this.#total = Number.isFinite(totalMs) ? setTimeout(this.#onOver, leftMs) : null;
  }
}
