/**
 * Which events stand on the page when there are more than it holds: what was denied, or would have been, goes
 * first, then the newest. Bounded memory however long the log. Pure.
 */
import type { ConnectionClose, ConnectionDecision } from '../event.ts';
import { rowVerdict } from '../summary.ts';
import { type EntryEvent, entryOf } from './entry.ts';
import { PAGE_LIMITS } from './limits.ts';
import type { PageEvent } from './model.ts';

interface Kept {
  readonly event: EntryEvent;
  readonly run: number;
  /** In the order of adding, over all runs. */
  readonly order: number;
  close: ConnectionClose | null;
}

export class KeptEvents {
  readonly #limit: number;
  readonly #refused: Ring;
  readonly #others: Ring;
  /** Connections of the run that is being read, until their close. */
  readonly #open = new Map<number, Kept & { readonly event: EntryEvent & ConnectionDecision }>();
  #count = 0;

  constructor(limit: number = PAGE_LIMITS.events) {
    this.#limit = limit;
    this.#refused = new Ring(limit);
    this.#others = new Ring(limit);
  }

  /** How many were added in all. */
  get count(): number {
    return this.#count;
  }

  /** Numbers of connections begin anew in the next run. */
  nextRun(): void {
    this.#open.clear();
  }

  add(event: EntryEvent, run: number): void {
    const kept: Kept = { event, run, order: this.#count, close: null };
    this.#count += 1;
    (isRefused(event) ? this.#refused : this.#others).push(kept);
    if ((event.kind !== 'connection' && event.kind !== 'inbound') || event.disposition !== 'forwarded')
      return;
    if (this.#open.size >= PAGE_LIMITS.openConnections) {
      const [oldest] = this.#open.keys();
      if (oldest !== undefined) this.#open.delete(oldest);
    }
    this.#open.set(event.connection, kept as Kept & { readonly event: EntryEvent & ConnectionDecision });
  }

  /** The connection that it ends; null for one that is not known, or that came from the host. */
  close(close: ConnectionClose): ConnectionDecision | null {
    const kept = this.#open.get(close.connection);
    if (kept === undefined) return null;
    this.#open.delete(close.connection);
    kept.close = close;
    return kept.event.kind === 'connection' ? kept.event : null;
  }

  /** In the order of the logs. */
  entries(): readonly PageEvent[] {
    const refused = this.#refused.items();
    const room = this.#limit - refused.length;
    const others = room > 0 ? this.#others.items().slice(-room) : [];
    return [...refused, ...others]
      .sort((a, b) => a.order - b.order)
      .map(({ event, run, close }) => entryOf(event, run, close));
  }
}

function isRefused(event: EntryEvent): boolean {
  if (event.kind !== 'dns' && event.kind !== 'connection' && event.kind !== 'unplanted') return false;
  const verdict = rowVerdict(event);
  return (verdict === 'denied' || verdict === 'would-be-denied') && event.muted !== true;
}

/** The last so many. */
class Ring {
  readonly #limit: number;
  readonly #kept: Kept[] = [];
  #next = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(kept: Kept): void {
    if (this.#kept.length < this.#limit) {
      this.#kept.push(kept);
      return;
    }
    this.#kept[this.#next] = kept;
    this.#next = (this.#next + 1) % this.#limit;
  }

  items(): readonly Kept[] {
    return [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)];
  }
}
