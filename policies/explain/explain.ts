/**
 * The whole answer to "why": the verdict on a request and on the addresses it leads to, what each rule in question
 * makes of it, and the smallest change that would turn it. The verdict itself is the evaluator's.
 */
import { parseAddress } from '../address.ts';
import { judgeAddress } from '../address-guard.ts';
import { evaluate, evaluateAddress } from '../evaluate.ts';
import type { EgressRequest, IpAddress, PolicyInForce, Protocol, RuleRef, Verdict } from '../model.ts';
import type { Reason } from '../reasons.ts';
import type { Question } from '../rule-judgement.ts';
import { type ConsideredRule, considerRules } from './considered.ts';
import { type Circumstances, planTurning, type Turning } from './turning.ts';

export interface JudgedAddress {
  readonly address: IpAddress;
  readonly decision: 'allow' | 'deny';
  readonly reason: Reason;
  readonly rule: RuleRef | null;
}

export interface Explanation {
  /** With the addresses, where they are known: as the audit log has it. */
  readonly decision: 'allow' | 'deny';
  readonly reason: Reason;
  readonly rule: RuleRef | null;
  readonly protocols: readonly Protocol[];
  readonly muted: boolean;
  /** As the audit log has it: a line to paste, or the pattern that was meant. */
  readonly suggestion: string | null;
  /** Of the policy, the strongest first. */
  readonly considered: readonly ConsideredRule[];
  /** The same of each ceiling, in order. */
  readonly ceilings: readonly (readonly ConsideredRule[])[];
  /** Rules in question beyond `EXPLAIN_LIMITS.rules`. */
  readonly left: number;
  /** Of a name that is allowed: what it is known to resolve to; of such a literal, itself. */
  readonly addresses: readonly JudgedAddress[];
  /** Null where nothing is denied, or no change of the policy would help. */
  readonly turning: Turning | null;
}

export const EXPLAIN_LIMITS = {
  /** A person reads them: beyond this they are data. */
  rules: 50,
} as const;

export function explain(
  inForce: PolicyInForce,
  request: EgressRequest,
  circumstances: Circumstances,
): Explanation {
  const { authority, protocol, http } = request;
  const { nowMs, hostAddresses } = circumstances;
  const verdict = evaluate(inForce, request, nowMs);
  const addresses = addressesOf(verdict, request, circumstances).map((address) => ({
    address,
    ...evaluateAddress(inForce, verdict, address, hostAddresses),
  }));
  const final = verdict.decision === 'deny' ? verdict : withAddresses(verdict, addresses);
  const question: Question = { ...authority, protocol, http, nowMs };
  const considered = considerRules(inForce.policy, question).map((one) =>
    opensNone(one, verdict, addresses, hostAddresses) ? { ...one, effect: 'address' as const } : one,
  );
  const ceilings = inForce.ceilings.map((ceiling) => considerRules(ceiling, question));
  const shown = (rules: readonly ConsideredRule[]) => rules.slice(0, EXPLAIN_LIMITS.rules);
  const all = [considered, ...ceilings];
  const known = { ...circumstances, addresses: addresses.map(({ address }) => address) };
  const isTurnable = final.decision === 'deny' || final.reason === 'would-be-denied';
  return {
    decision: final.decision,
    reason: final.reason,
    rule: final.rule,
    protocols: final.decision === 'deny' ? [] : verdict.protocols,
    muted: verdict.muted,
    suggestion: verdict.suggestion,
    considered: shown(considered),
    ceilings: ceilings.map(shown),
    left: all.reduce((sum, rules) => sum + rules.length - shown(rules).length, 0),
    addresses: verdict.decision === 'deny' ? [] : addresses,
    turning: isTurnable
      ? planTurning(inForce, request, turnedReason(inForce, request, final, nowMs), known)
      : null,
  };
}

/** Whether a rule that allows the name opens none of the addresses that it leads to. */
function opensNone(
  { rule, effect }: ConsideredRule,
  verdict: Verdict,
  addresses: readonly JudgedAddress[],
  hostAddresses: readonly IpAddress[],
): boolean {
  if (effect !== 'allows' || verdict.decision === 'deny' || addresses.length === 0) return false;
  return addresses.every(({ address }) => judgeAddress([rule], address, hostAddresses).decision === 'deny');
}

interface Final {
  readonly decision: 'allow' | 'deny';
  readonly reason: Reason;
  readonly rule: RuleRef | null;
}

/** One address that may be dialled is enough; of several, one that a reporting rule covers is told. */
function withAddresses(verdict: Verdict, addresses: readonly JudgedAddress[]): Final {
  const { decision, reason, rule } = verdict;
  const open = addresses.filter((one) => one.decision === 'allow');
  const told = open.find((one) => one.reason === 'would-be-denied') ?? open[0];
  if (told !== undefined) return { decision, reason: told.reason, rule: told.rule ?? rule };
  const [refused] = addresses;
  if (refused === undefined) return { decision, reason, rule };
  return { decision: 'deny', reason: refused.reason, rule: refused.rule };
}

/** Nothing is resolved for a name that is denied. */
function addressesOf(
  verdict: Verdict,
  { authority: { host } }: EgressRequest,
  { addresses }: Circumstances,
): readonly IpAddress[] {
  if (host.kind === 'address') return [host.address];
  const opensLoopback = verdict.grants.some(({ subjects }) =>
    subjects.some(({ kind }) => kind === 'host-loopback'),
  );
  return opensLoopback ? LOOPBACK : addresses;
}

const LOOPBACK: readonly IpAddress[] = ['127.0.0.1', '::1'].flatMap((text) => {
  const address = parseAddress(text);
  return address.ok ? [address.value] : [];
});

/** What only passes because the policy reports is turned as what would be denied if it were enforced. */
function turnedReason(inForce: PolicyInForce, request: EgressRequest, final: Final, nowMs: number): Reason {
  if (final.reason !== 'would-be-denied') return final.reason;
  const enforced = { ...inForce, policy: { ...inForce.policy, mode: 'enforce' as const } };
  return evaluate(enforced, request, nowMs).reason;
}
