/**
 * The proxy's books: numbers every decision, records it before its effect, counts bytes against the guest's
 * limits, and ends what is open when the log fails, the policy changes or the guest stops. Dials nothing.
 */
import type { AuditSink, ConnectionDecision, RuleFact } from '../audit/event.ts';
import type { PolicyInForce, RuleRef } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import { type Bounds, boundsOf } from './bounds.ts';
import { Budgets, findSpent, type GrantLayers, holdsBytes } from './budgets.ts';
import { Bursts } from './bursts.ts';
import { type Admission, type Asked, Flight, type FlightBooks, type FlightEnd } from './flight.ts';
import { refuseFor } from './judgement.ts';
import type { ProxyLimits } from './limits.ts';
import { type Denial, shown } from './refusal.ts';
import { RequestRate } from './request-rate.ts';

export interface LedgerStats {
  readonly forwarded: number;
  readonly refused: number;
  readonly open: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
}

/** State of one proxy. Once sealed (the log has failed, or the guest has stopped) it refuses everything. */
export class Ledger implements FlightBooks {
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
  readonly #budgets = new Budgets();
  #bounds: Bounds;
  #boundsOf: PolicyInForce;

  constructor(audit: AuditSink, policy: () => PolicyInForce, limits: ProxyLimits) {
    this.#audit = audit;
    this.#policy = policy;
    this.#limits = limits;
    this.#boundsOf = policy();
    this.#bounds = boundsOf(this.#boundsOf, limits);
    const { requestsPerSecond, requestBurst } = this.#bounds;
    this.#rate = new RequestRate(requestsPerSecond, requestBurst, performance.now());
  }

  get flights(): Iterable<Flight> {
    return this.#flights;
  }

  /** Of this moment: they follow the policy in force. */
  get bounds(): Bounds {
    const inForce = this.#policy();
    if (inForce !== this.#boundsOf) {
      this.#boundsOf = inForce;
      this.#bounds = boundsOf(inForce, this.#limits);
      this.#rate.adjust(this.#bounds.requestsPerSecond, this.#bounds.requestBurst);
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
    const { requestsPerSecond } = this.bounds;
    if (this.#rate.take(performance.now())) return null;
    const detail = `more than ${requestsPerSecond} requests a second`;
    return this.refuseRepeated(ask(), refuseFor('limit-requests', detail));
  }

  /** Records that this will be dialled. What is returned instead of a flight has been recorded too. */
  open(asked: Asked, admission: Admission): Flight | Denial {
    if (this.#bytesOut >= this.bounds.bytesOut || this.#bytesIn >= this.bounds.bytesIn) {
      const { rule, muted } = admission;
      const spent = refuseFor('limit-bytes', 'the guest has used up its bytes', 'allow');
      return this.refuse(asked, { ...spent, rule, muted });
    }
    const budgets = this.#budgets.of(admission.grants ?? []);
    const used = findSpent(budgets);
    if (used !== null) {
      const { rule, muted } = admission;
      const spent = refuseFor(used.reason, `the rule ${used.rule?.id} admits no more`, 'allow');
      return this.refuse(asked, { ...spent, rule: used.rule ?? rule, muted });
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
    const flight = new Flight(this, this.bounds, budgets, this.#next - 1, asked, admission);
    this.#flights.add(flight);
    for (const budget of budgets) budget.connections += 1;
    return flight;
  }

  /** Whether so many more bytes stay within the limits of the guest and of its rules; they count from then on. */
  admits(flight: Flight, bytesOut: number, bytesIn: number): boolean {
    const bounds = this.bounds;
    if (this.#bytesOut + bytesOut > bounds.bytesOut || this.#bytesIn + bytesIn > bounds.bytesIn) return false;
    if (!holdsBytes(flight.budgets, bytesOut, bytesIn)) return false;
    for (const budget of flight.budgets) {
      budget.bytesOut += bytesOut;
      budget.bytesIn += bytesIn;
    }
    this.#bytesOut += bytesOut;
    this.#bytesIn += bytesIn;
    return true;
  }

  /** Holds an open flight to the policy of this moment, which still admits it by `grants`. */
  rebind(flight: Flight, grants: GrantLayers): void {
    for (const budget of flight.budgets) budget.connections -= 1;
    flight.budgets = this.#budgets.of(grants);
    for (const budget of flight.budgets) budget.connections += 1;
    flight.bound(this.bounds);
  }

  /** For `Flight.close` only. */
  settle(flight: Flight, end: FlightEnd): void {
    this.#flights.delete(flight);
    for (const budget of flight.budgets) budget.connections -= 1;
    const { host, port } = flight.asked;
    const { id, bytesOut, bytesIn } = flight;
    this.#write({ kind: 'close', connection: id, host, port, bytesOut, bytesIn, ...end });
  }

  /** For a connection that is on record elsewhere, so that no two of a log share a number. */
  takeNumber(): number {
    return this.#next++;
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
