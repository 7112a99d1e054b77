/**
 * What a policy says of each case of a table, beside what the table expects. Pure; how it is told is the caller's.
 */
import { evaluate, evaluateAddress } from '../evaluate.ts';
import type { CompiledPolicy, Host, IpAddress, PolicyInForce, Rule, RuleRef } from '../model.ts';
import { literalTail } from '../pattern.ts';
import { phaseNames, policyOfPhase } from '../phase.ts';
import type { Reason } from '../reasons.ts';
import { rulesForHost } from '../rule-index.ts';
import { indexOf } from '../rule-judgement.ts';
import { firstById, refer } from '../rule-ref.ts';
import type { TableCase } from './document.ts';

export interface CaseOutcome {
  readonly case: TableCase;
  readonly passed: boolean;
  /** Each difference as a sentence; none where it passed. */
  readonly differences: readonly string[];
  /** Null where the case could not be asked. */
  readonly decision: 'allow' | 'deny' | null;
  readonly reason: Reason | null;
  readonly rule: RuleRef | null;
  /** Where no rule decided: the allow rule that came nearest. */
  readonly nearest: RuleRef | null;
  /** What would turn it, as a line; null where nothing should be suggested. */
  readonly suggestion: string | null;
}

/** Ceilings are the machine's and not the policy's, so none is asked. `nowMs` is for cases that name no time. */
export function judgeCase(policy: CompiledPolicy, one: TableCase, nowMs: number): CaseOutcome {
  const inPhase = policyFor(policy, one.phase);
  if (inPhase === null) {
    const known = phaseNames(policy);
    const phases = known.length === 0 ? 'it has no phases' : `its phases are ${known.join(', ')}`;
    const difference = `the policy has no phase "${one.phase}": ${phases}`;
    return failedWith(one, difference);
  }
  const answer = answerOf(inPhase, one, one.atMs ?? nowMs);
  const differences = differencesOf(one, answer);
  const host = one.request.authority.host;
  return {
    case: one,
    passed: differences.length === 0,
    differences,
    ...answer,
    nearest: differences.length > 0 && answer.rule === null ? refer(nearestRule(inPhase, host)) : null,
  };
}

function failedWith(one: TableCase, difference: string): CaseOutcome {
  const nothing = {
    decision: null,
    reason: null,
    rule: null,
    nearest: null,
    suggestion: null,
  } as const;
  return { case: one, passed: false, differences: [difference], ...nothing };
}

/** A guest begins in the first phase. */
function policyFor(policy: CompiledPolicy, phase: string | null): CompiledPolicy | null {
  if (phase === null) return policyOfPhase(policy, 0);
  const at = phaseNames(policy).indexOf(phase);
  return at === -1 ? null : policyOfPhase(policy, at);
}

type Answer = Pick<CaseOutcome, 'decision' | 'reason' | 'rule' | 'suggestion'>;

/** With addresses that of one that would be dialled, or where none would, of the first. */
function answerOf(policy: CompiledPolicy, { request, addresses }: TableCase, nowMs: number): Answer {
  const inForce: PolicyInForce = { policy, ceilings: [] };
  const verdict = evaluate(inForce, request, nowMs);
  const { decision, reason, rule, suggestion } = verdict;
  const answer = { decision, reason, rule, suggestion };
  const { host } = request.authority;
  const judged: readonly IpAddress[] = host.kind === 'address' ? [host.address] : addresses;
  if (decision === 'deny' || judged.length === 0) return answer;
  const dialled = judged.map((address) => evaluateAddress(inForce, verdict, address, []));
  const allowed = dialled.find((one) => one.decision === 'allow');
  return { ...(allowed ?? dialled[0] ?? answer), suggestion: null };
}

function differencesOf(one: TableCase, { decision, reason, rule }: Answer): readonly string[] {
  const differences: string[] = [];
  if (decision !== one.expected) differences.push(`expected ${one.expected}, came ${decision}`);
  if (one.reason !== null && reason !== one.reason) {
    differences.push(`expected the reason ${one.reason}, came ${reason}`);
  }
  if (one.rule !== null && rule?.id !== one.rule) {
    differences.push(`expected the rule ${one.rule}, came ${rule?.id ?? 'no rule'}`);
  }
  return differences;
}

/** One that covers the host on other ports, or else the one that shares most labels with it, from the right. */
function nearestRule(policy: CompiledPolicy, host: Host): Rule | null {
  const covering = firstById(rulesForHost(indexOf(policy).allow, host));
  if (covering !== null || host.kind === 'address') return covering;
  const labels = host.name.split('.').reverse();
  let nearest: Rule | null = null;
  let most = LEAST_SHARED - 1;
  for (const rule of policy.rules) {
    if (rule.verb !== 'allow') continue;
    const shared = rule.subjects.reduce((sum, subject) => Math.max(sum, sharedLabels(subject, labels)), 0);
    if (shared > most) nearest = rule;
    most = Math.max(most, shared);
  }
  return nearest;
}

/** A name shares its top label with half the world. */
const LEAST_SHARED = 2;

function sharedLabels(subject: Rule['subjects'][number], reversed: readonly string[]): number {
  if (subject.kind !== 'names') return 0;
  const own = literalTail(subject.pattern).split('.').reverse();
  const differ = own.findIndex((label, at) => label !== reversed[at]);
  return differ === -1 ? own.length : differ;
}
