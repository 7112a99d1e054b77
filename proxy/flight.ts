/**
 * One forwarded decision, from its record to its close: what was asked and admitted, the bytes that it moved,
 * and why it ended. Whoever carries the bytes says how to end them; the ledger keeps the books.
 */
import type { ConnectionClose, ProcessFact, Via } from '../audit/event.ts';
import type { Consent } from '../policies/consent.ts';
import type { Authority, HttpRequest, IpAddress, Protocol, RuleRef } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import type { Bounds } from './bounds.ts';
import type { Budget, GrantLayers } from './budgets.ts';
import { FlightClock } from './flight-clock.ts';
import type { Route } from './route.ts';

/** What was asked, as far as it was understood, for the record. */
export interface Asked {
  readonly via: Via;
  readonly host: string;
  readonly port: number;
  readonly protocol: Protocol | null;
  readonly method?: string;
  readonly path?: string;
  readonly sni?: string;
  readonly alpn?: readonly string[];
  readonly destination?: string;
  readonly process?: ProcessFact;
}

/** What was decided, for a flight that is about to be dialled. */
export interface Admission {
  readonly authority: Authority;
  readonly protocol: Protocol;
  /** The request, where one was read. */
  readonly http?: HttpRequest;
  readonly rule: RuleRef | null;
  readonly reason: Reason;
  readonly muted: boolean;
  /** The first vetted address; null where the host could not resolve the name. */
  readonly address: IpAddress | null;
  readonly route: Route;
  /** Whose limits it counts for; absent: nobody's but the guest's. */
  readonly grants?: GrantLayers;
  /** What somebody said yes to; absent: the policy alone admits it. */
  readonly consent?: Consent;
  /** When its connection came, in the time of `performance.now`; absent: now. */
  readonly sinceMs?: number;
}

export function askedOf(authority: Authority, rest: Omit<Asked, 'host' | 'port'>): Asked {
  const { host, port } = authority;
  // An IPv6 literal without its brackets, as every other event has it.
  return { ...rest, host: host.kind === 'address' ? host.address : host.name, port };
}

/** What a flight tells its books. */
export interface FlightBooks {
  /** Whether so many more bytes stay within the limits; they count from then on. */
  admits(flight: Flight, bytesOut: number, bytesIn: number): boolean;
  settle(flight: Flight, end: FlightEnd): void;
}

export type FlightEnd = Omit<
  ConnectionClose,
  'kind' | 'connection' | 'host' | 'port' | 'bytesOut' | 'bytesIn'
>;

/** `cut` ends it; it is set by who carries the bytes. */
export class Flight {
  readonly id: number;
  readonly asked: Asked;
  readonly admission: Admission;
  readonly #books: FlightBooks;
  readonly #clock: FlightClock;
  readonly #startMs = performance.now();
  bytesOut = 0;
  bytesIn = 0;
  /** For the ledger only. */
  budgets: readonly Budget[];
  #reason: Reason | null = null;
  #isClosed = false;
  #cut: (() => void) | null = null;
  #connected: IpAddress | null = null;
  #detail: string | null = null;

  constructor(
    books: FlightBooks,
    bounds: Bounds,
    budgets: readonly Budget[],
    id: number,
    asked: Asked,
    admission: Admission,
  ) {
    this.#books = books;
    this.budgets = budgets;
    this.id = id;
    this.asked = asked;
    this.admission = admission;
    this.#clock = new FlightClock(bounds, admission.sinceMs ?? this.#startMs, () =>
      this.cut('limit-time', 'it was open as long as the policy admits'),
    );
  }

  get isCut(): boolean {
    return this.#reason !== null;
  }

  get cutReason(): Reason | null {
    return this.#reason;
  }

  /** The address that answered, of several that were vetted. */
  connected(address: IpAddress): void {
    this.#connected = address;
  }

  /** How to end the bytes at once. Called right away when the flight was cut before. */
  onCut(cut: () => void): void {
    this.#cut = cut;
    if (this.#reason !== null) cut();
  }

  /** `onIdle`: what to do after a whole idle time without a byte; by itself it is cut. */
  watch(onIdle: (() => void) | null = null): void {
    if (this.#isClosed) return;
    this.#clock.watch(onIdle ?? (() => this.cut('limit-time', 'it was idle as long as the policy admits')));
  }

  /** The limits have changed. */
  bound(bounds: Bounds): void {
    if (!this.#isClosed) this.#clock.bound(bounds);
  }

  cut(reason: Reason, detail: string | null = null): void {
    if (this.#isClosed || this.#reason !== null) return;
    this.#reason = reason;
    this.#detail = detail;
    this.#cut?.();
  }

  /** Counts bytes before they are passed on; false: they must not be, and the flight has been cut. */
  count(bytesOut: number, bytesIn: number): boolean {
    if (this.#reason !== null) return false;
    this.#clock.touch();
    if (!this.#books.admits(this, bytesOut, bytesIn)) {
      this.cut('limit-bytes');
      return false;
    }
    this.bytesOut += bytesOut;
    this.bytesIn += bytesIn;
    return true;
  }

  /** Records the end, once. */
  close(reason: Reason | null = null, status: number | null = null, detail: string | null = null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cut = null;
    this.#clock.stop();
    const ending = this.#reason ?? reason;
    const said = this.#detail ?? detail;
    this.#books.settle(this, {
      durationMs: Math.round(performance.now() - this.#startMs),
      ...(ending === null ? {} : { reason: ending }),
      ...(status === null ? {} : { status }),
      ...(this.#connected === null ? {} : { address: this.#connected }),
      ...(said === null ? {} : { detail: said }),
    });
  }
}
