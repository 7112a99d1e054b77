/**
 * The proxy's books: numbers every decision, records it before its effect, counts bytes against the guest's
 * limits, and ends what is open when the log fails, the policy changes or the guest stops. Dials nothing.
 */
import type { AuditSink, ConnectionClose, ConnectionDecision, RuleFact, Via } from '../audit/event.ts';
import type { Authority, IpAddress, PolicyInForce, Protocol, RuleRef } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import { Bursts } from './bursts.ts';
import { refuseFor } from './judgement.ts';
import type { ProxyLimits } from './limits.ts';
import { type Denial, shown } from './refusal.ts';
import { RequestRate } from './request-rate.ts';
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
}

/** What was decided, for a flight that is about to be dialled. */
export interface Admission {
  readonly authority: Authority;
  readonly protocol: Protocol;
  readonly rule: RuleRef | null;
  readonly reason: Reason;
  readonly muted: boolean;
  /** The first vetted address; null where the host could not resolve the name. */
  readonly address: IpAddress | null;
  readonly route: Route;
}

export interface LedgerStats {
  readonly forwarded: number;
  readonly refused: number;
  readonly open: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
}

interface Bounds {
  readonly connections: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
}

export function askedOf(authority: Authority, rest: Omit<Asked, 'host' | 'port'>): Asked {
  const { host, port } = authority;
  // An IPv6 literal without its brackets, as every other event has it.
  return { ...rest, host: host.kind === 'address' ? host.address : host.name, port };
}

/** One forwarded decision, from its record to its close. `cut` ends it; it is set by who carries the bytes. */
export class Flight {
  readonly id: number;
  readonly asked: Asked;
  readonly admission: Admission;
  readonly #ledger: Ledger;
  readonly #startMs = performance.now();
  bytesOut = 0;
  bytesIn = 0;
  #reason: Reason | null = null;
  #isClosed = false;
  #cut: (() => void) | null = null;
  #connected: IpAddress | null = null;

  constructor(ledger: Ledger, id: number, asked: Asked, admission: Admission) {
    this.#ledger = ledger;
    this.id = id;
    this.asked = asked;
    this.admission = admission;
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

  cut(reason: Reason): void {
    if (this.#isClosed || this.#reason !== null) return;
    this.#reason = reason;
    this.#cut?.();
  }

  /** Counts bytes before they are passed on; false: they must not be, and the flight has been cut. */
  count(bytesOut: number, bytesIn: number): boolean {
    if (this.#reason !== null) return false;
    if (!this.#ledger.admits(bytesOut, bytesIn)) {
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
    const ending = this.#reason ?? reason;
    this.#ledger.settle(this, {
      durationMs: Math.round(performance.now() - this.#startMs),
      ...(ending === null ? {} : { reason: ending }),
      ...(status === null ? {} : { status }),
      ...(this.#connected === null ? {} : { address: this.#connected }),
      ...(detail === null ? {} : { detail }),
    });
  }
}

/** State of one proxy. Once sealed (the log has failed, or the guest has stopped) it refuses everything. */
export class Ledger {
  readonly #audit: AuditSink;
  readonly #policy: () => PolicyInForce;
  readonly #limits: ProxyLimits;
  readonly #flights = new Set<Flight>();
  readonly #rate: RequestRate;
  readonly #bursts = new Bursts((reason, count) => this.#recordBurst(reason, count));
  #next = 1;
  #forwarded = 0;
  #refused = 0;
  #bytesOut = 0;
  #bytesIn = 0;
  #isSealed = false;
  #bounds: Bounds;
  #boundsOf: PolicyInForce;

  constructor(audit: AuditSink, policy: () => PolicyInForce, limits: ProxyLimits) {
    this.#audit = audit;
    this.#policy = policy;
    this.#limits = limits;
    this.#rate = new RequestRate(limits.requestsPerSecond, limits.requestBurst, performance.now());
    this.#boundsOf = policy();
    this.#bounds = boundsOf(this.#boundsOf, limits);
  }

  get flights(): Iterable<Flight> {
    return this.#flights;
  }

  /** The strictest of the proxy's own, the policy's and every ceiling's. */
  get bounds(): Bounds {
    const inForce = this.#policy();
    if (inForce !== this.#boundsOf) {
      this.#boundsOf = inForce;
      this.#bounds = boundsOf(inForce, this.#limits);
    }
    return this.#bounds;
  }

  stats(): LedgerStats {
    return {
      forwarded: this.#forwarded,
      refused: this.#refused,
      open: this.#flights.size,
      bytesOut: this.#bytesOut,
      bytesIn: this.#bytesIn,
    };
  }

  /** Records a refusal and gives back the one to show: the same, or that the log has failed. */
  refuse(asked: Asked, denial: Denial): Denial {
    this.#refused += 1;
    const isWritten = this.#record({
      ...this.#decision(asked, denial.rule, denial.reason, denial.muted),
      verdict: denial.verdict,
      disposition: 'refused',
      ...(denial.detail === null ? {} : { detail: denial.detail }),
      ...(denial.suggestion === null ? {} : { suggestion: denial.suggestion }),
    });
    return isWritten ? denial : auditUnavailable();
  }

  /** The same for what a guest can provoke without end: of a burst the first is recorded, then the number. */
  refuseRepeated(asked: Asked, denial: Denial): Denial {
    if (this.#bursts.begins(denial.reason)) return this.refuse(asked, denial);
    this.#refused += 1;
    return this.#isSealed ? auditUnavailable() : denial;
  }

  /** Counts one request against the guest's rate; gives the refusal, on record already, where it does not fit. */
  overRate(ask: () => Asked): Denial | null {
    if (this.#rate.take(performance.now())) return null;
    const detail = `more than ${this.#limits.requestsPerSecond} requests a second`;
    return this.refuseRepeated(ask(), refuseFor('limit-requests', detail));
  }

  /** Records that this will be dialled. What is returned instead of a flight has been recorded too. */
  open(asked: Asked, admission: Admission): Flight | Denial {
    if (this.#bytesOut >= this.bounds.bytesOut || this.#bytesIn >= this.bounds.bytesIn) {
      const { rule, muted } = admission;
      const spent = refuseFor('limit-bytes', 'the guest has used up its bytes', 'allow');
      return this.refuse(asked, { ...spent, rule, muted });
    }
    const isWritten = this.#record({
      ...this.#decision(asked, admission.rule, admission.reason, admission.muted),
      verdict: 'allow',
      disposition: 'forwarded',
      ...wayOf(admission),
    });
    // Fail closed: what is not on record is not dialled.
    if (!isWritten) {
      this.#refused += 1;
      return auditUnavailable();
    }
    this.#forwarded += 1;
    const flight = new Flight(this, this.#next - 1, asked, admission);
    this.#flights.add(flight);
    return flight;
  }

  /** Whether so many more bytes stay within the guest's limits; they count from then on. */
  admits(bytesOut: number, bytesIn: number): boolean {
    const bounds = this.bounds;
    if (this.#bytesOut + bytesOut > bounds.bytesOut || this.#bytesIn + bytesIn > bounds.bytesIn) return false;
    this.#bytesOut += bytesOut;
    this.#bytesIn += bytesIn;
    return true;
  }

  /** For `Flight.close` only. */
  settle(
    flight: Flight,
    end: Omit<ConnectionClose, 'kind' | 'connection' | 'host' | 'port' | 'bytesOut' | 'bytesIn'>,
  ): void {
    this.#flights.delete(flight);
    const { host, port } = flight.asked;
    const { id, bytesOut, bytesIn } = flight;
    this.#write({ kind: 'close', connection: id, host, port, bytesOut, bytesIn, ...end });
  }

  /** Ends every open flight. */
  cutAll(reason: Reason): void {
    for (const flight of [...this.#flights]) flight.cut(reason);
  }

  /** Ends and records every open flight in this turn, however long its sockets take to close; then records no more. */
  finish(reason: Reason): void {
    for (const flight of [...this.#flights]) {
      flight.cut(reason);
      flight.close();
    }
    this.#bursts.end();
    this.#isSealed = true;
  }

  #recordBurst(reason: Reason, count: number): void {
    this.#record({
      ...this.#decision({ via: 'forward', host: '', port: 0, protocol: null }, null, reason, false),
      verdict: 'deny',
      disposition: 'refused',
      detail: `${count} more, refused since the last record`,
      count,
    });
  }

  #decision(asked: Asked, rule: RuleRef | null, reason: Reason, muted: boolean) {
    return {
      kind: 'connection',
      connection: this.#next++,
      asker: 'guest',
      ...asked,
      host: shown(asked.host),
      reason,
      rule: rule === null ? null : ruleFact(rule),
      policy: this.#policy().policy.digest,
      ...(muted ? { muted } : {}),
    } as const;
  }

  #record(entry: ConnectionDecision): boolean {
    return this.#write(entry);
  }

  #write(entry: Parameters<AuditSink['record']>[0]): boolean {
    if (this.#isSealed) return false;
    try {
      this.#audit.record(entry);
      return true;
    } catch {
      // Fail closed: without a log nothing is allowed, and what is open ends.
      this.#isSealed = true;
      this.cutAll('audit-unavailable');
      return false;
    }
  }
}

function auditUnavailable(): Denial {
  return { ...refuseFor('audit-unavailable', 'the audit log cannot be written'), advice: null };
}

/** What will be dialled, or what a parent proxy is told. */
function wayOf({ address, route }: Admission): { readonly address?: string; readonly detail?: string } {
  if (route.kind === 'direct') return address === null ? {} : { address };
  return { ...(route.address === null ? {} : { address: route.address }), detail: route.detail };
}

function ruleFact(rule: RuleRef): RuleFact {
  const { file, line } = rule.origin;
  return { id: rule.id, file, line, ...(rule.because === null ? {} : { because: rule.because }) };
}

function boundsOf(inForce: PolicyInForce, limits: ProxyLimits): Bounds {
  const policies = [inForce.policy, ...inForce.ceilings];
  const least = (own: number | null, theirs: (number | null)[]): number =>
    Math.min(...[own, ...theirs].map((value) => value ?? Number.POSITIVE_INFINITY));
  return {
    connections: least(
      limits.connections,
      policies.map((policy) => policy.limits.connections),
    ),
    bytesOut: least(
      limits.bytesOut,
      policies.map((policy) => policy.limits.bytesOut),
    ),
    bytesIn: least(
      limits.bytesIn,
      policies.map((policy) => policy.limits.bytesIn),
    ),
  };
}
