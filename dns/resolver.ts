/**
 * The resolver of one guest: judges each question, carries out its plan and records the decision before the
 * answer leaves. It owns the guest's synthetic addresses and quotas; sockets are `server.ts`'s.
 */
import { performance } from 'node:perf_hooks';
import type { DnsDecision } from '../audit/event.ts';
import { parseAddress } from '../policies/address.ts';
import type { Consent } from '../policies/consent.ts';
import { evaluateAddress, evaluateName } from '../policies/evaluate.ts';
import type { Hostname, IpAddress, PolicyInForce, Verdict } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import { createNameQuota, createRateLimit, type NameQuota, type RateLimit } from './admission.ts';
import type { QueryOrigin, ResolverContext } from './context.ts';
import { DNS_LIMITS, type DnsLimits } from './limits.ts';
import { type Answer, CLASS_IN, type Question, TYPES } from './message.ts';
import {
  grantsHost,
  type Outcome,
  type Plan,
  planAllocated,
  planDenied,
  planProbed,
  planQuestion,
  planUnresolved,
  planVetted,
  planWithheld,
  type Resolution,
  refuse,
} from './plan.ts';
import { describeDecision, describeFault, openerOf } from './record.ts';
import { createRefusalLog, type RefusalLog } from './refusal-log.ts';
import { classifyName, PROBE_ZONE, type Subject } from './subject.ts';
import { createSyntheticTable, type Meaning, type SyntheticPlace, type SyntheticTable } from './synthetic.ts';
import { createUpstreamClient, type UpstreamClient } from './upstream.ts';
import type { QueryFault } from './wire.ts';

/** What a server asks of a resolver. */
export interface QueryHandler {
  /** Never rejects. The decision is recorded when it settles. */
  answer(question: Question, origin: QueryOrigin): Promise<Answer>;
  /** Records a message that failed inspection; it is refused whether or not the log takes it. Never throws. */
  recordFault(fault: QueryFault, origin: QueryOrigin): void;
}

/** As the proxy takes it; a failure of sand's own making names its reason. */
export type LookupResult =
  | { readonly kind: 'addresses'; readonly addresses: readonly IpAddress[] }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'failed'; readonly detail: string; readonly reason?: Reason };

export interface ProbeHit {
  readonly name: Hostname;
  readonly origin: QueryOrigin;
}

export interface Resolver extends QueryHandler {
  /** For the proxy: the addresses of an allowed name, not vetted. Rejects only for an aborted signal. */
  lookup(name: Hostname, signal: AbortSignal, consent?: Consent | null): Promise<LookupResult>;
  meaning(address: IpAddress): Meaning;
  /** Where synthetic addresses are given from, before the first is; 198.18.0.0/15 unless told. */
  synthesizeFrom(place: SyntheticPlace): void;
  /** From now on this gateway alone answers the name, which ends in `.probe.sand`. Throws past the limit. */
  registerProbe(name: string): void;
  /** Tells each address question for a registered probe, once it is recorded. Returns what ends the telling. */
  onProbe(listener: (hit: ProbeHit) => void): () => void;
  /** Ends every lookup at once; questions are refused from then on. */
  close(): void;
}

export interface ResolverOptions {
  readonly limits?: DnsLimits;
  readonly upstream?: UpstreamClient;
  /** Milliseconds that do not run backwards. */
  readonly now?: () => number;
}

export function createResolver(context: ResolverContext, options: ResolverOptions = {}): Resolver {
  return new GuestResolver(context, options);
}

interface Decided {
  readonly outcome: Outcome;
  /** The policy that decided. */
  readonly by: PolicyInForce;
}

type LookupPlan = Extract<Plan, { step: 'lookup' }>;

class GuestResolver implements Resolver {
  readonly #context: ResolverContext;
  readonly #limits: DnsLimits;
  readonly #upstream: UpstreamClient;
  readonly #synthetic: SyntheticTable = createSyntheticTable();
  readonly #quota: NameQuota;
  readonly #refusals: RefusalLog;
  readonly #rates: Readonly<Record<QueryOrigin['asker'], RateLimit>>;
  readonly #probes = new Set<Hostname>();
  readonly #probeListeners = new Set<(hit: ProbeHit) => void>();
  readonly #closing = new AbortController();
  #pending = 0;

  constructor(context: ResolverContext, options: ResolverOptions) {
    const limits = options.limits ?? DNS_LIMITS;
    const now = options.now ?? (() => performance.now());
    const rate = (): RateLimit => createRateLimit(limits.requestBurst, limits.requestsPerSecond, now);
    this.#context = context;
    this.#limits = limits;
    this.#upstream =
      options.upstream ??
      createUpstreamClient({
        upstreams: (name) => context.upstreams(name),
        ...(context.finders === undefined ? {} : { finders: context.finders }),
        limits,
        now,
      });
    this.#quota = createNameQuota(limits.namesPerWildcard, limits.namesUngranted);
    this.#refusals = createRefusalLog(limits.refusalBurstMs, (entry) => context.audit.record(entry));
    this.#rates = { guest: rate(), host: rate() };
  }

  async answer(question: Question, origin: QueryOrigin): Promise<Answer> {
    this.#pending += 1;
    try {
      const { outcome, by } = await this.#decideSafely(question, origin);
      const decision = describeDecision(question, origin, outcome, by.policy.digest);
      // Refused before it was judged: a flood of these is counted, since nothing else bounds it.
      const opener = () => openerOf(origin);
      if (outcome.reason === 'limit-requests') this.#refusals.add(burstKind(decision), decision, opener);
      else this.#context.audit.record({ ...decision, ...opener() });
      this.#tellProbe(question, origin, outcome);
      return outcome.answer;
    } catch {
      // Fail closed: what cannot be recorded is not answered.
      return refuse('SERVFAIL', 'audit-unavailable', null).answer;
    } finally {
      this.#pending -= 1;
    }
  }

  recordFault(fault: QueryFault, origin: QueryOrigin): void {
    try {
      const refusal = describeFault(fault, origin, this.#context.policy().policy.digest);
      this.#refusals.add(burstKind(refusal), refusal, () => openerOf(origin));
    } catch {
      // Fail closed: a malformed message gets its refusal whether or not the log takes the line.
    }
  }

  async lookup(name: Hostname, signal: AbortSignal, consent: Consent | null = null): Promise<LookupResult> {
    signal.throwIfAborted();
    const subject = classifyName(name);
    if (subject.kind !== 'name' && subject.kind !== 'host') return { kind: 'not-found' };
    const policy = this.#context.policy();
    const inForce = consent === null ? policy : consent.over(policy);
    const verdict = evaluateName(inForce, subject.name);
    // Fail closed: a name that the policy in force does not allow is never asked, whoever wants it.
    if (verdict.decision === 'deny' || (subject.kind === 'host' && !grantsHost(verdict))) {
      return {
        kind: 'failed',
        detail: 'the policy in force does not allow the name',
        reason: 'policy-changed',
      };
    }
    if (subject.kind === 'host') return { kind: 'addresses', addresses: hostLoopback() };
    if (!this.#quota.admit(verdict, subject.name)) {
      const detail = 'too many distinct names under one wildcard, or that no rule grants';
      return { kind: 'failed', detail, reason: 'limit-names' };
    }
    return this.#upstream.lookup(subject.name, signal);
  }

  meaning(address: IpAddress): Meaning {
    return this.#synthetic.meaning(address);
  }

  synthesizeFrom(place: SyntheticPlace): void {
    this.#synthetic.moveTo(place);
  }

  registerProbe(name: string): void {
    const subject = classifyName(name);
    if (subject.kind !== 'probe') throw new Error(`a probe name must end in .${PROBE_ZONE}`);
    if (this.#probes.size >= this.#limits.probes) throw new Error('too many probe names');
    this.#probes.add(subject.name);
  }

  onProbe(listener: (hit: ProbeHit) => void): () => void {
    this.#probeListeners.add(listener);
    return () => this.#probeListeners.delete(listener);
  }

  close(): void {
    this.#closing.abort();
    this.#upstream.close();
    this.#refusals.close();
  }

  /** A fault of sand's own is a refusal, recorded like any other. */
  async #decideSafely(question: Question, origin: QueryOrigin): Promise<Decided> {
    const by = this.#context.policy();
    try {
      return await this.#decide(question, origin, by);
    } catch {
      // Fail closed: an error on the way to a decision is a refusal.
      const reason = this.#closing.signal.aborted ? 'shutting-down' : 'internal-error';
      return { outcome: refuse('SERVFAIL', reason, null), by };
    }
  }

  async #decide(question: Question, origin: QueryOrigin, first: PolicyInForce): Promise<Decided> {
    const refused = this.#refuseUnadmitted(origin);
    if (refused !== null) return { outcome: refused, by: first };
    // While somebody or an upstream is asked, who asks may end.
    origin.process?.();
    const subject = classifyName(question.name);
    const held = await this.#ask(question, subject, origin, first);
    const { by } = held;
    const verdict =
      subject.kind === 'name' || subject.kind === 'host' ? evaluateName(by, subject.name) : null;
    if (verdict !== null && subject.kind === 'name' && !this.#admitsName(verdict, subject.name, origin)) {
      const outcome = { ...refuse('REFUSED', 'limit-names', null, verdict.rule), muted: verdict.muted };
      return { outcome, by };
    }
    const plan = planQuestion({
      question,
      subject,
      verdict,
      mode: origin.mode,
      reporting: by.policy.mode === 'report',
      isProbe: (name) => this.#probes.has(name),
      nameOf: (address) => {
        const meaning = this.#synthetic.meaning(address);
        return meaning.kind === 'name' ? meaning.name : null;
      },
    });
    const decided = await this.#carryOut(plan, question, by);
    if (held.detail === null || decided.outcome.verdict === 'allow') return decided;
    return { ...decided, outcome: { ...decided.outcome, detail: decided.outcome.detail ?? held.detail } };
  }

  /**
   * The policy that decides: while somebody is asked about a name that no rule decides, the question is held. A yes is
   * for the name and, through the gateway, for what then connects to it.
   */
  async #ask(
    question: Question,
    subject: Subject,
    origin: QueryOrigin,
    by: PolicyInForce,
  ): Promise<{ readonly by: PolicyInForce; readonly detail: string | null }> {
    const { ask } = this.#context;
    const wantsAddress = question.type === TYPES.A || question.type === TYPES.AAAA;
    // A person on the host is nobody to ask about, and other types are answered empty at best.
    if (ask === undefined || subject.kind !== 'name' || origin.asker === 'host') return { by, detail: null };
    if (!wantsAddress || question.class !== CLASS_IN) return { by, detail: null };
    if (evaluateName(by, subject.name).decision === 'allow') return { by, detail: null };
    const request = { host: subject, port: null, protocol: null };
    const answer = await ask(request, this.#closing.signal);
    const now = this.#context.policy();
    if (answer.kind === 'consent') return { by: answer.consent.over(now), detail: null };
    return { by: now, detail: answer.kind === 'refused' ? answer.detail : null };
  }

  #refuseUnadmitted(origin: QueryOrigin): Outcome | null {
    if (this.#closing.signal.aborted) return refuse('REFUSED', 'shutting-down', null);
    if (this.#pending > this.#limits.pendingRequests) {
      return refuse('REFUSED', 'limit-requests', 'too many questions wait for an answer');
    }
    return this.#rates[origin.asker].take() ? null : refuse('REFUSED', 'limit-requests', null);
  }

  /** A person on the host spends nothing of the guest's. */
  #admitsName(verdict: Verdict, name: Hostname, origin: QueryOrigin): boolean {
    return verdict.decision === 'deny' || origin.asker === 'host' || this.#quota.admit(verdict, name);
  }

  async #carryOut(plan: Plan, question: Question, by: PolicyInForce): Promise<Decided> {
    switch (plan.step) {
      case 'answer':
        return { outcome: plan.outcome, by };
      case 'allocate':
        return { outcome: planAllocated(plan.verdict, this.#synthetic.allocate(plan.name)), by };
      case 'probe':
        return { outcome: planProbed(this.#synthetic.allocate(plan.name)), by };
      case 'lookup': {
        const resolution = await this.#upstream.lookup(plan.name, this.#closing.signal);
        // The policy may have changed while the upstream was asked: the one in force now decides.
        const now = this.#context.policy();
        const verdict = now === by ? plan.verdict : evaluateName(now, plan.name);
        return { outcome: this.#completeLookup(plan, verdict, resolution, question, now), by: now };
      }
    }
  }

  #completeLookup(
    plan: LookupPlan,
    verdict: Verdict,
    resolution: Resolution,
    question: Question,
    by: PolicyInForce,
  ): Outcome {
    if (verdict.decision === 'deny') return planDenied(verdict);
    if (resolution.kind !== 'addresses') return planUnresolved(verdict, resolution);
    if (plan.purpose === 'allocate') return planAllocated(verdict, this.#synthetic.allocate(plan.name));
    if (plan.purpose === 'nothing') return planWithheld(question, verdict);
    const hostAddresses = this.#context.hostAddresses();
    const judged = resolution.addresses.map((address) => ({
      address,
      verdict: evaluateAddress(by, verdict, address, hostAddresses),
    }));
    return planVetted(question, verdict, judged);
  }

  #tellProbe(question: Question, origin: QueryOrigin, outcome: Outcome): void {
    if (question.type !== TYPES.A || outcome.answer.records.length === 0) return;
    const subject = classifyName(question.name);
    if (subject.kind !== 'probe') return;
    for (const listener of this.#probeListeners) listener({ name: subject.name, origin });
  }
}

/** One burst for each asker, transport and reason; the rate limit and malformed messages do not hide each other. */
function burstKind({ asker, transport, reason }: DnsDecision): string {
  return `${asker} ${transport} ${reason}`;
}

/** Where a service on the host's own loopback may listen. */
function hostLoopback(): readonly IpAddress[] {
  return ['127.0.0.1', '::1'].flatMap((text) => {
    const parsed = parseAddress(text);
    return parsed.ok ? [parsed.value] : [];
  });
}
