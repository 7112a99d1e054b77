/**
 * Folds what came in from the host over published ports: one row a port and what became of it. No policy decides
 * there, so these are no rows of `summary.ts`. Pure.
 */
import type { AuditEvent, InboundConnection } from './event.ts';
import { SUMMARY_LIMITS } from './limits.ts';

export interface InboundRow {
  /** Where it came to on the host. */
  readonly address: string;
  readonly port: number;
  readonly guestPort: number;
  readonly disposition: InboundConnection['disposition'];
  /** Why it was refused. */
  readonly reason: InboundConnection['reason'] | null;
  readonly count: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly first: string;
  readonly last: string;
}

type Draft = { -readonly [K in keyof InboundRow]: InboundRow[K] };

/** Events in the order of the log; bounded, for published ports and reasons are few. */
export class InboundSummary {
  readonly #drafts = new Map<string, Draft>();
  readonly #open = new Map<number, Draft>();

  add(event: AuditEvent): void {
    if (event.kind === 'inbound') this.#fold(event, event.time);
    if (event.kind === 'close') this.#close(event);
  }

  /** Refused first, then by how often. */
  rows(): readonly InboundRow[] {
    return [...this.#drafts.values()].sort(
      (a, b) =>
        Number(a.disposition === 'forwarded') - Number(b.disposition === 'forwarded') ||
        b.count - a.count ||
        a.port - b.port ||
        a.guestPort - b.guestPort,
    );
  }

  #fold(event: InboundConnection, time: string): void {
    const { address, port, guestPort, disposition } = event;
    const reason = event.reason ?? null;
    const key = [address, port, guestPort, disposition, reason ?? ''].join('\n');
    let draft = this.#drafts.get(key);
    if (draft === undefined) {
      if (this.#drafts.size >= SUMMARY_LIMITS.rows) return;
      const moved = { count: 0, bytesOut: 0, bytesIn: 0 };
      draft = { address, port, guestPort, disposition, reason, ...moved, first: time, last: time };
      this.#drafts.set(key, draft);
    }
    draft.count += event.count ?? 1;
    draft.last = time;
    if (disposition === 'forwarded' && this.#open.size < SUMMARY_LIMITS.openConnections)
      this.#open.set(event.connection, draft);
  }

  #close(event: Extract<AuditEvent, { kind: 'close' }>): void {
    const draft = this.#open.get(event.connection);
    if (draft === undefined) return;
    this.#open.delete(event.connection);
    draft.bytesOut += event.bytesOut;
    draft.bytesIn += event.bytesIn;
    draft.last = event.time;
  }
}
