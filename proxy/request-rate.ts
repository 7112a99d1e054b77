/** How often a guest may ask: a token bucket. Counts alone; what is refused is said by the ledger. */

/** Holds `burst` at first and at most; `perSecond` come back. `now` is in milliseconds and does not run backwards. */
export class RequestRate {
  #perSecond: number;
  #burst: number;
  #held: number;
  #countedMs: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#held = burst;
    this.#countedMs = nowMs;
  }

  /** Other numbers from now on; what is held stays, up to the new burst. */
  adjust(perSecond: number, burst: number): void {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#held = Math.min(this.#held, burst);
  }

  /** Whether one more request fits; it counts from then on. */
  take(nowMs: number): boolean {
    const grown = (Math.max(0, nowMs - this.#countedMs) * this.#perSecond) / 1_000;
    this.#held = Math.min(this.#burst, this.#held + grown);
    this.#countedMs = nowMs;
    if (this.#held < 1) return false;
    this.#held -= 1;
    return true;
  }
}
