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

  /** With RFC 3042: the first duplicates let something new out, so that there are enough of them. */
  get window(): number {
    return this.#isRecovering ? this.#window : this.#window + this.#duplicates * this.#mss;
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

  /**
   * True: there were enough, and the first segment is to be sent again. `isAll`: nothing is left to send, so of a short
   * flight fewer are enough (RFC 5827). `mayEnter`: RFC 6582 section 3.2, step 1.
   */
  duplicate(inFlight: number, isAll: boolean, mayEnter: boolean): boolean {
    if (this.#isRecovering) {
      this.#window = Math.min(this.#window + this.#mss, this.#maxBytes);
      return false;
    }
    if (!mayEnter) return false;
    this.#duplicates += 1;
    const segments = Math.ceil(inFlight / this.#mss);
    const enough = isAll && segments <= DUPLICATES ? Math.max(1, segments - 1) : DUPLICATES;
    if (this.#duplicates < enough) return false;
    this.#threshold = Math.max(Math.floor(inFlight / 2), 2 * this.#mss);
    this.#window = this.#threshold + DUPLICATES * this.#mss;
    this.#isRecovering = true;
    return true;
  }

  /** RFC 6582 step 3b: a hole was filled, another is behind it. */
  partial(bytes: number): void {
    this.#window = Math.max(this.#window - bytes, 0) + this.#mss;
  }

  /** RFC 6582 step 3a, the second choice: the cable holds a burst. */
  recovered(): void {
    this.#isRecovering = false;
    this.#duplicates = 0;
    this.#window = this.#threshold;
  }

  /** Nothing came back in time; `isFirst`: of this loss. */
  timedOut(inFlight: number, isFirst: boolean): void {
    if (isFirst) this.#threshold = Math.max(Math.floor(inFlight / 2), 2 * this.#mss);
    this.#window = this.#mss;
    this.#isRecovering = false;
    this.#duplicates = 0;
  }
}
