/** Which connection has to be looked at when: a heap of deadlines that are put right when they come. Knows no clock. */

interface Timed {
  readonly deadlineMs: number;
  /** The entry that counts; any other of the same connection is stale. */
  scheduledMs: number;
}

interface Entry<T> {
  readonly atMs: number;
  readonly of: T;
}

/** Stale entries that may stay before they are sorted out, whatever the number of the others. */
const STALE_ENTRIES = 1_024;

export class Deadlines<T extends Timed> {
  #heap: Entry<T>[] = [];

  /** The earliest; something may be found not due then. */
  get nextMs(): number {
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** To be called when its deadline may have come nearer; `live` is how many there are of them. */
  schedule(timed: T, live: number): void {
    if (timed.deadlineMs >= timed.scheduledMs) return;
    timed.scheduledMs = timed.deadlineMs;
    this.#push({ atMs: timed.deadlineMs, of: timed });
    if (this.#heap.length > 4 * live + STALE_ENTRIES) this.#sortOut();
  }

  /** It needs no looking at any more. */
  forget(timed: T): void {
    timed.scheduledMs = Number.POSITIVE_INFINITY;
  }

  /** One whose deadline has come; null: none has. */
  takeDue(nowMs: number, live: number): T | null {
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined || top.atMs > nowMs) return null;
      this.#pop();
      if (top.of.scheduledMs !== top.atMs) continue;
      top.of.scheduledMs = Number.POSITIVE_INFINITY;
      if (top.of.deadlineMs <= nowMs) return top.of;
      this.schedule(top.of, live);
    }
  }

  #sortOut(): void {
    this.#heap = this.#heap
      .filter(({ atMs, of }) => of.scheduledMs === atMs)
      .sort((one, other) => one.atMs - other.atMs);
  }

  #push(entry: Entry<T>): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.atMs <= entry.atMs) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      if (left === undefined) break;
      const isRight = right !== undefined && right.atMs < left.atMs;
      const least = isRight ? right : left;
      if (least.atMs >= last.atMs) break;
      heap[at] = least;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
  }
}
