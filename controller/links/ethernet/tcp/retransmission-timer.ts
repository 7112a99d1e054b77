/** How long to wait for an acknowledgement: the estimate of RFC 6298, with its backing off. */

export interface RtoLimits {
  readonly minRtoMs: number;
  readonly firstRtoMs: number;
  readonly maxRtoMs: number;
}

/** What the clock of the stack resolves at the least. */
const GRANULARITY_MS = 1;

export class RetransmissionTimer {
  readonly #limits: RtoLimits;
  #smoothedMs: number | null = null;
  #varianceMs = 0;
  #estimateMs: number;
  #backoff = 1;

  constructor(limits: RtoLimits) {
    this.#limits = limits;
    this.#estimateMs = limits.firstRtoMs;
  }

  get rtoMs(): number {
    return Math.min(this.#estimateMs * this.#backoff, this.#limits.maxRtoMs);
  }

  /** Of a segment that was sent once (Karn). Ends the backing off. */
  sample(roundTripMs: number): void {
    if (this.#smoothedMs === null) {
      this.#smoothedMs = roundTripMs;
      this.#varianceMs = roundTripMs / 2;
    } else {
      this.#varianceMs = 0.75 * this.#varianceMs + 0.25 * Math.abs(this.#smoothedMs - roundTripMs);
      this.#smoothedMs = 0.875 * this.#smoothedMs + 0.125 * roundTripMs;
    }
    const estimate = this.#smoothedMs + Math.max(GRANULARITY_MS, 4 * this.#varianceMs);
    this.#estimateMs = Math.min(Math.max(estimate, this.#limits.minRtoMs), this.#limits.maxRtoMs);
    this.#backoff = 1;
  }

  backOff(): void {
    if (this.rtoMs < this.#limits.maxRtoMs) this.#backoff *= 2;
  }

  /** Something came through, whether or not it could be measured. */
  heard(): void {
    this.#backoff = 1;
  }
}
