/**
 * One connection from the host into the guest, from its record to its close: counts its bytes and ends it when it is idle.
 * The splice carries the bytes.
 */
import type { ConnectionClose } from '../../audit/event.ts';
import type { Reason } from '../../policies/reasons.ts';
import { FlightClock } from '../../proxy/flight-clock.ts';
import type { SplicedFlight } from '../../proxy/splice.ts';

export type InboundEnd = Pick<ConnectionClose, 'bytesOut' | 'bytesIn' | 'durationMs' | 'reason' | 'detail'>;

/** `settle` is called once, with the end. */
export class InboundFlight implements SplicedFlight {
  readonly #clock: FlightClock;
  readonly #settle: (flight: InboundFlight, end: InboundEnd) => void;
  readonly #startMs = performance.now();
  #bytesOut = 0;
  #bytesIn = 0;
  #cut: (() => void) | null = null;
  #reason: Reason | null = null;
  #isClosed = false;

  constructor(idleMs: number, settle: (flight: InboundFlight, end: InboundEnd) => void) {
    this.#settle = settle;
    this.#clock = new FlightClock({ idleMs, totalMs: Number.POSITIVE_INFINITY }, this.#startMs, () => {});
  }

  onCut(cut: () => void): void {
    this.#cut = cut;
    if (this.#reason !== null) cut();
  }

  watch(): void {
    if (!this.#isClosed) this.#clock.watch(() => this.cut('limit-time'));
  }

  /** Out of the guest and into it. */
  count(bytesOut: number, bytesIn: number): boolean {
    if (this.#reason !== null) return false;
    this.#clock.touch();
    this.#bytesOut += bytesOut;
    this.#bytesIn += bytesIn;
    return true;
  }

  cut(reason: Reason): void {
    if (this.#isClosed || this.#reason !== null) return;
    this.#reason = reason;
    this.#cut?.();
  }

  /** How the one side failed is for the other alone: neither is an upstream of sand's. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#clock.stop();
    this.#settle(this, {
      bytesOut: this.#bytesOut,
      bytesIn: this.#bytesIn,
      durationMs: Math.round(performance.now() - this.#startMs),
      ...(this.#reason === null ? {} : { reason: this.#reason }),
      ...(this.#reason === 'limit-time' ? { detail: 'it was idle as long as sand admits' } : {}),
    });
  }
}
