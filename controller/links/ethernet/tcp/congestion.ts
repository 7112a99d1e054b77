/** How much may be on its way: NewReno (RFC 5681, RFC 6582), with a long first flight. Counts bytes; sends nothing. */

export interface CongestionLimits {
  readonly initialSegments: number;
  readonly congestionBytes: number;
}

const DUPLICATES = 3;

export class Congestion {
  readonly #mss: number;
  readonly #maxBytes: number;
  #window: number;
  #threshold = Number.MAX_SAFE_INTEGER;
  #duplicates = 0;
  #isRecovering = false;

  constructor(mss: number, limits: CongestionLimits) {
    this.#mss = mss;
    this.#maxBytes = limits.congestionBytes;
    this.#window = limits.initialSegments * mss;
  }

  get window(): number {
    return this.#window;
  }

  get isRecovering(): boolean {
    return this.#isRecovering;
  }

  /** New bytes were acknowledged while nothing is being recovered. */
  grow(bytes: number): void {
    this.#duplicates = 0;
    const more = this.#window < this.#threshold ? bytes : Math.ceil((this.#mss * bytes) / this.#window);
    this.#window = Math.min(this.#window + more, this.#maxBytes);
  }

  /** True: it is the third, and the first segment is to be sent again. `mayEnter`: RFC 6582 section 3.2, step 1. */
  duplicate(inFlight: number, mayEnter: boolean): boolean {
    if (this.#isRecovering) {
      this.#window = Math.min(this.#window + this.#mss, this.#maxBytes);
      return false;
    }
    this.#duplicates += 1;
    if (this.#duplicates !== DUPLICATES || !mayEnter) return false;
    this.#threshold = Math.max(inFlight / 2, 2 * this.#mss);
    this.#window = this.#threshold + DUPLICATES * this.#mss;
    this.#isRecovering = true;
    return true;
  }

  /** RFC 6582 step 3b: a hole was filled, another is behind it. */
  partial(bytes: number): void {
    this.#window = Math.max(this.#window - bytes, 0) + this.#mss;
  }

  /** RFC 6582 step 3a. */
  recovered(inFlight: number): void {
    this.#isRecovering = false;
    this.#duplicates = 0;
    this.#window = Math.min(this.#threshold, Math.max(inFlight, this.#mss) + this.#mss);
  }

  /** Nothing came back in time; `isFirst`: of this loss. */
  timedOut(inFlight: number, isFirst: boolean): void {
    if (isFirst) this.#threshold = Math.max(inFlight / 2, 2 * this.#mss);
    this.#window = this.#mss;
    this.#isRecovering = false;
    this.#duplicates = 0;
  }
}
