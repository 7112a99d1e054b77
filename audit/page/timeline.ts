/** Counts over time in a bounded number of bars: when there are too many, each two become one. Pure. */
import type { RowVerdict } from '../summary.ts';
import { PAGE_LIMITS } from './limits.ts';
import type { PageBar, PageTimeline } from './model.ts';

export const BAR_ORDER: readonly (RowVerdict | 'muted')[] = [
  'denied',
  'would-be-denied',
  'failed',
  'allowed',
  'muted',
];

type Bar = [number, number, number, number, number];

export class Timeline {
  #fromMs: number | null = null;
  #stepMs: number = PAGE_LIMITS.stepMs;
  #bars: Bar[] = [];

  /** The first time that is told is where the chart begins; what seems earlier (a clock set back) counts there. */
  add(timeMs: number, what: RowVerdict | 'muted' | null, count: number): void {
    this.#fromMs ??= timeMs;
    let at = Math.max(0, Math.floor((timeMs - this.#fromMs) / this.#stepMs));
    // Each round halves the distance, so there are at most as many as a time has bits.
    while (at >= PAGE_LIMITS.bars) {
      this.#halve();
      at = Math.floor(at / 2);
    }
    while (this.#bars.length <= at) this.#bars.push([0, 0, 0, 0, 0]);
    const bar = this.#bars[at];
    const place = what === null ? -1 : BAR_ORDER.indexOf(what);
    if (bar !== undefined && place !== -1) bar[place] = (bar[place] ?? 0) + count;
  }

  timeline(): PageTimeline {
    const bars = this.#bars.map((bar): PageBar => [...bar]);
    return { fromMs: this.#fromMs ?? 0, stepMs: this.#stepMs, bars };
  }

  #halve(): void {
    this.#stepMs *= 2;
    const halved: Bar[] = [];
    for (let at = 0; at < this.#bars.length; at += 2) {
      const one = this.#bars[at] ?? [0, 0, 0, 0, 0];
      const other = this.#bars[at + 1] ?? [0, 0, 0, 0, 0];
      halved.push(one.map((count, place) => count + (other[place] ?? 0)) as Bar);
    }
    this.#bars = halved;
  }
}
