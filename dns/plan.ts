/**
 * The answer plan: question, verdict and mode in; an answer, or the one thing to do before there is one, out.
 * Pure. The resolver carries the plan out and records the outcome before the answer leaves.
 */
import type { DnsDecision } from '../audit/event.ts';
import type { AddressVerdict, Hostname, IpAddress, RuleRef, Verdict } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import type { AnswerMode } from './context.ts';
import { MAX_ERROR_TEXT_BYTES, OWN_TTL_SECONDS } from './limits.ts';
import {
  type Answer,
  type AnswerRecord,
  CLASS_IN,
  type ExtendedError,
  type Question,
  type Rcode,
  TYPES,
} from './message.ts';
import type { Subject } from './subject.ts';

/** A decision and the answer that tells it. */
export interface Outcome {
  readonly answer: Answer;
  readonly verdict: 'allow' | 'deny';
  readonly reason: Reason;
  readonly disposition: DnsDecision['disposition'];
  readonly rule: RuleRef | null;
  readonly muted: boolean;
  readonly detail: string | null;
  readonly suggestion: string | null;
}

export type Plan =
  | { readonly step: 'answer'; readonly outcome: Outcome }
  /** Give the name its synthetic address; then `planAllocated`. */
  | { readonly step: 'allocate'; readonly name: Hostname; readonly verdict: Verdict }
  /** A name that only this gateway answers: tell the gateway, and give it a synthetic address. */
  | { readonly step: 'probe'; readonly name: Hostname }
  /** Ask upstream; then, for a real name, allocate, vet its addresses, or say that there is nothing of this type. */
  | {
      readonly step: 'lookup';
      readonly name: Hostname;
      readonly verdict: Verdict;
      readonly purpose: 'allocate' | 'vet' | 'nothing';
    };

export interface PlanInput {
  readonly question: Question;
  readonly subject: Subject;
  /** The policy's word on a `name` or `host` subject; null for others. */
  readonly verdict: Verdict | null;
  readonly mode: AnswerMode;
  /** The policy is in report mode: DNS asks upstream first. */
  readonly reporting: boolean;
  /** Whether the gateway registered this probe name. */
  readonly isProbe: (name: Hostname) => boolean;
  /** The name behind a synthetic address, for reverse questions. */
  readonly nameOf: (address: IpAddress) => Hostname | null;
}

/** What the host's resolvers said. */
export type Resolution =
  | { readonly kind: 'addresses'; readonly addresses: readonly IpAddress[] }
  /** `exists`: the name is there and has no address. */
  | { readonly kind: 'not-found'; readonly exists: boolean }
  | { readonly kind: 'failed'; readonly detail: string };

export function planQuestion(input: PlanInput): Plan {
  const { question, subject } = input;
  if (question.class !== CLASS_IN) {
    return finished(refuse('REFUSED', 'dns-type-withheld', 'a class other than IN'));
  }
  switch (subject.kind) {
    case 'root':
      // REFUSED, not NXDOMAIN: a cache that believed the latter (RFC 8020) would hold that no name exists.
      return finished(refuse('REFUSED', 'no-rule', 'a question about the root'));
    case 'invalid':
      return finished(refuse('NXDOMAIN', 'dns-malformed', subject.detail));
    case 'localhost':
      return finished(own(loopbackRecords(question.type)));
    case 'reserved':
      return finished(ownNegative());
    case 'reverse': {
      const name = subject.address === null ? null : input.nameOf(subject.address);
      if (name === null) return finished(ownNegative());
      return finished(own(question.type === TYPES.PTR ? [{ type: 'PTR', data: name }] : []));
    }
    case 'probe':
      if (!input.isProbe(subject.name)) return finished(ownNegative());
      return question.type === TYPES.A ? { step: 'probe', name: subject.name } : finished(own([]));
    case 'host':
    case 'name':
      return planJudged(input, subject.kind, subject.name);
  }
}

function planJudged(input: PlanInput, kind: 'host' | 'name', name: Hostname): Plan {
  const { verdict, question } = input;
  // Fail closed: a name without a verdict is not allowed.
  if (verdict === null) return finished(refuse('SERVFAIL', 'internal-error', null));
  if (verdict.decision === 'deny') return finished(planDenied(verdict));
  if (kind === 'host') {
    // Fail closed: report mode allows what no rule lists, and that must never open the host itself.
    if (!grantsHost(verdict)) return finished(refuse('NXDOMAIN', 'no-rule', null));
    return question.type === TYPES.A
      ? { step: 'allocate', name, verdict }
      : finished(planWithheld(question, verdict));
  }
  const isAddressType = question.type === TYPES.A || question.type === TYPES.AAAA;
  if (!isAddressType) return finished(planWithheld(question, verdict));
  if (input.mode === 'vetted') return { step: 'lookup', name, verdict, purpose: 'vet' };
  if (input.reporting) {
    return { step: 'lookup', name, verdict, purpose: question.type === TYPES.A ? 'allocate' : 'nothing' };
  }
  return question.type === TYPES.A
    ? { step: 'allocate', name, verdict }
    : finished(planWithheld(question, verdict));
}

/** Whether a rule names the host itself; report mode alone never opens it. */
export function grantsHost(verdict: Verdict): boolean {
  return verdict.grants.some((rule) => rule.subjects.some((subject) => subject.kind === 'host-loopback'));
}

/** The policy does not allow the name: NXDOMAIN, whatever the type, and nothing leaves the host. */
export function planDenied(verdict: Verdict): Outcome {
  return {
    ...refuse('NXDOMAIN', verdict.reason, null, verdict.rule),
    muted: verdict.muted,
    suggestion: verdict.suggestion,
  };
}

/**
 * The name is allowed and there is nothing of this type: an empty NOERROR. HTTPS and SVCB would upgrade to what
 * sand cannot read, TXT and the like are a way in and out, and synthetic addresses are IPv4 alone.
 */
export function planWithheld(question: Question, verdict: Verdict): Outcome {
  const reason = question.type === TYPES.AAAA ? verdict.reason : 'dns-type-withheld';
  return allowed(verdict, reason, reply('NOERROR', []));
}

export function planAllocated(verdict: Verdict, address: IpAddress | null): Outcome {
  if (address === null) {
    // Fail closed: without an address of its own the name cannot be told from others.
    return { ...refuse('REFUSED', 'synthetic-exhausted', null, verdict.rule), muted: verdict.muted };
  }
  return allowed(verdict, verdict.reason, reply('NOERROR', [{ type: 'A', data: address }]));
}

export function planProbed(address: IpAddress | null): Outcome {
  if (address === null) return refuse('REFUSED', 'synthetic-exhausted', null);
  return own([{ type: 'A', data: address }]);
}

/** An upstream has nothing for an allowed name, or did not answer. */
export function planUnresolved(
  verdict: Verdict,
  resolution: Extract<Resolution, { kind: 'not-found' | 'failed' }>,
): Outcome {
  if (resolution.kind === 'not-found') {
    return allowed(verdict, 'dns-not-found', reply(resolution.exists ? 'NOERROR' : 'NXDOMAIN', []));
  }
  return {
    ...allowed(verdict, 'dns-failed', reply('SERVFAIL', [], { code: 22, text: 'sand: dns-failed' })),
    disposition: 'refused',
    detail: resolution.detail,
  };
}

/** Real addresses for a vetted answer: those that the address guard lets through, of the type that was asked. */
export function planVetted(
  question: Question,
  verdict: Verdict,
  judged: readonly { readonly address: IpAddress; readonly verdict: AddressVerdict }[],
): Outcome {
  const vetted = judged.filter((entry) => entry.verdict.decision === 'allow');
  const denied = judged.find((entry) => entry.verdict.decision === 'deny');
  if (vetted.length === 0) {
    // Fail closed: no address passed, or there was none to judge.
    return {
      ...refuse(
        'NXDOMAIN',
        denied?.verdict.reason ?? 'dns-not-found',
        null,
        denied?.verdict.rule ?? verdict.rule,
      ),
      muted: verdict.muted,
    };
  }
  const type = question.type === TYPES.A ? 'A' : 'AAAA';
  const records = vetted
    .filter((entry) => entry.address.includes(':') === (type === 'AAAA'))
    .map((entry) => ({ type, data: entry.address }) as const);
  return allowed(verdict, verdict.reason, reply('NOERROR', records));
}

/** A refusal of sand's own making. It is not cached and names its reason. */
export function refuse(
  rcode: Rcode,
  reason: Reason,
  detail: string | null,
  rule: RuleRef | null = null,
): Outcome {
  return {
    answer: reply(rcode, [], explain(reason, rule)),
    verdict: 'deny',
    reason,
    disposition: 'refused',
    rule,
    muted: false,
    detail,
    suggestion: null,
  };
}

function allowed(verdict: Verdict, reason: Reason, answer: Answer): Outcome {
  return {
    answer,
    verdict: 'allow',
    reason,
    disposition: 'answered',
    rule: verdict.rule,
    muted: verdict.muted,
    detail: null,
    suggestion: null,
  };
}

/** A name that sand answers by itself. */
function own(records: readonly AnswerRecord[], rcode: Rcode = 'NOERROR'): Outcome {
  return {
    answer: reply(rcode, records),
    verdict: 'allow',
    reason: 'reserved-name',
    disposition: 'answered',
    rule: null,
    // Nothing left the host and nobody was refused anything: on record, and out of reports.
    muted: true,
    detail: null,
    suggestion: null,
  };
}

function ownNegative(): Outcome {
  return own([], 'NXDOMAIN');
}

function loopbackRecords(type: number): readonly AnswerRecord[] {
  if (type === TYPES.A) return [{ type: 'A', data: '127.0.0.1' }];
  return type === TYPES.AAAA ? [{ type: 'AAAA', data: '::1' }] : [];
}

function reply(
  rcode: Rcode,
  records: readonly AnswerRecord[],
  extendedError: ExtendedError | null = null,
): Answer {
  return { rcode, records, ttlSeconds: OWN_TTL_SECONDS, extendedError };
}

function finished(outcome: Outcome): Plan {
  return { step: 'answer', outcome };
}

const BLOCKED = 15;
const FILTERED = 17;
const PROHIBITED = 18;

/** RFC 8914: Blocked where a rule says no, Filtered where none says yes, Prohibited where the client overdid it. */
const ERROR_CODES: Partial<Record<Reason, number>> = {
  'deny-rule': BLOCKED,
  ceiling: BLOCKED,
  'limit-requests': PROHIBITED,
  'limit-names': PROHIBITED,
  'synthetic-exhausted': PROHIBITED,
};

function explain(reason: Reason, rule: RuleRef | null): ExtendedError {
  const text = rule === null ? `sand: ${reason}` : `sand: ${reason} (${rule.id})`;
  const ascii = text.replace(/[^\x20-\x7e]/g, '?');
  return { code: ERROR_CODES[reason] ?? FILTERED, text: ascii.slice(0, MAX_ERROR_TEXT_BYTES) };
}
