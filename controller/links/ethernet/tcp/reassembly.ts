/** Segments that came before what precedes them: kept in order, bounded, and given back once the gap is filled. */
import { add, distance, type Sequence } from './sequence.ts';

interface Held {
  readonly seq: Sequence;
  /** A copy: what it came in is used again. */
  readonly bytes: Buffer;
}

/** Of all connections of a stack together. */
export interface HeldBudget {
  segments: number;
}

export class Reassembly {
  readonly #maxSegments: number;
  readonly #budget: HeldBudget;
  readonly #held: Held[] = [];

  constructor(maxSegments: number, budget: HeldBudget) {
    this.#maxSegments = maxSegments;
    this.#budget = budget;
  }

  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  /** What finds no room is forgotten, and comes again. */
  hold(seq: Sequence, bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    let at = this.#held.length;
    for (; at > 0; at -= 1) {
      const before = this.#held[at - 1];
      if (before === undefined || distance(before.seq, seq) >= 0) break;
    }
    const before = this.#held[at - 1];
    if (before !== undefined && distance(seq, add(before.seq, before.bytes.length)) >= length) return;
    // What it covers whole is of no more use.
    let covered = 0;
    for (; at + covered < this.#held.length; covered += 1) {
      const behind = this.#held[at + covered];
      if (behind === undefined || distance(add(behind.seq, behind.bytes.length), add(seq, length)) < 0) break;
    }
    const isFull = this.#held.length >= this.#maxSegments || this.#budget.segments <= 0;
    if (covered === 0 && isFull) return;
    const copy = Buffer.allocUnsafeSlow(length);
    bytes.copy(copy, 0, start, end);
    this.#held.splice(at, covered, { seq, bytes: copy });
    this.#budget.segments += covered - 1;
  }

  /** The bytes from `next` on, where they are held; to be asked again with what follows them. */
  take(next: Sequence): Buffer | null {
    for (;;) {
      const [first] = this.#held;
      if (first === undefined) return null;
      const overlap = distance(first.seq, next);
      if (overlap < 0) return null;
      this.#held.shift();
      this.#budget.segments += 1;
      if (overlap < first.bytes.length) return first.bytes.subarray(overlap);
    }
  }

  clear(): void {
    this.#budget.segments += this.#held.length;
    this.#held.length = 0;
  }
}
