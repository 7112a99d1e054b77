/**
 * What a policy says of one request: deny beats allow in any layer, what no rule allows is denied, and every
 * ceiling must allow as well. What each policy's rules say is `rule-judgement.ts`; whether an address may be
 * dialled is decided here once it is known.
 */
import { judgeAddress, judgeReported } from './address-guard.ts';
import type {
  AddressVerdict,
  CompiledPolicy,
  EgressRequest,
  Hostname,
  IpAddress,
  PolicyInForce,
  Protocol,
  Rule,
  Verdict,
} from './model.ts';
import { PROTOCOLS } from './port-range.ts';
import type { Reason } from './reasons.ts';
import { rulesForHost } from './rule-index.ts';
import {
  coversProtocol,
  type Denials,
  denialsForAddress,
  indexOf,
  judge,
  type Question,
  refusalOf,
} from './rule-judgement.ts';
import { firstById, refer } from './rule-ref.ts';
import { isReservedName } from './subject.ts';
import { suggestRule } from './suggestion.ts';

/** Planted besides in report mode, and where people are asked, so that what a program tries there is seen: SSH, second web ports, databases. */
const REPORTED_PORTS: readonly number[] = [22, 1433, 3306, 5432, 6379, 8080, 8443, 27017];
const WEB_PORTS: readonly number[] = [80, 443];

/**
 * The verdict on a host and port. `protocol` null asks what may be spoken there. `nowMs` decides which rules
 * have passed their `until`.
 */
export function evaluate(
  inForce: PolicyInForce,
  { authority, protocol, http }: EgressRequest,
  nowMs: number = Date.now(),
): Verdict {
  return decide(inForce, { host: authority.host, port: authority.port, protocol, http, nowMs });
}

/**
 * The verdict on a name alone, for DNS: allowed where some rule could allow it on some port and nothing denies
 * it. `protocols` and `grants` are those of all its ports.
 */
export function evaluateName(inForce: PolicyInForce, name: Hostname, nowMs: number = Date.now()): Verdict {
  return decide(inForce, { host: { kind: 'name', name }, port: null, protocol: null, nowMs });
}

/**
 * Whether an address that an allowed host resolved to (or was written as) may be dialled. The grants of the
 * verdict are united: what one of them opens is open. Deny rules and the address guard hold in both modes.
 */
export function evaluateAddress(
  inForce: PolicyInForce,
  verdict: Verdict,
  address: IpAddress,
  hostAddresses: readonly IpAddress[],
): AddressVerdict {
  // Fail closed: an address is judged for an allowed request only.
  if (verdict.decision === 'deny') return { decision: 'deny', reason: verdict.reason, rule: verdict.rule };
  const denied = denialsForAddress(inForce.policy, address);
  if (denied.refusing !== null)
    return { decision: 'deny', reason: 'deny-rule', rule: refer(denied.refusing) };
  const isUngranted = verdict.reason === 'would-be-denied' && verdict.grants.length === 0;
  const judged = isUngranted
    ? judgeReported(address, hostAddresses)
    : judgeAddress(verdict.grants, address, hostAddresses);
  if (judged.decision === 'deny') return judged;
  for (const [at, ceiling] of inForce.ceilings.entries()) {
    const forbidden = firstDenial(denialsForAddress(ceiling, address));
    const grants = verdict.ceilingGrants?.[at] ?? [];
    // Fail closed: a verdict that does not carry what this ceiling granted was not made under it.
    if (forbidden !== null || grants.length === 0)
      return { decision: 'deny', reason: 'ceiling', rule: refer(forbidden) };
    const allowed = judgeAddress(grants, address, hostAddresses);
    if (allowed.decision === 'deny') return { decision: 'deny', reason: 'ceiling', rule: allowed.rule };
  }
  const named = verdict.reason === 'would-be-denied' ? verdict.rule : null;
  const reporting = named ?? refer(denied.reporting);
  if (reporting !== null) return { decision: 'allow', reason: 'would-be-denied', rule: reporting };
  return { ...judged, reason: verdict.reason };
}

/** Fail closed: a ceiling reports nothing, so all its deny rules refuse. */
function firstDenial({ refusing, reporting }: Denials): Rule | null {
  return refusing ?? reporting;
}

/**
 * Whether an allowed request is allowed by its path alone, by the policy or by a ceiling: then the path that was
 * judged is the one to send.
 */
export function isPathDecisive({ grants, ceilingGrants }: Verdict): boolean {
  return [grants, ...(ceilingGrants ?? [])].some(
    (rules) => rules.length > 0 && rules.every(({ paths }) => paths !== undefined),
  );
}

/**
 * Every port on which something of the policy could be allowed, ascending; the web's own two always. `usual`: those
 * that programs often try as well, so that what they ask for is seen.
 */
export function plantedPorts(
  { policy }: PolicyInForce,
  usual: boolean = policy.mode === 'report',
): readonly number[] {
  const ports = new Set(WEB_PORTS);
  if (usual || policy.mode === 'report') for (const port of REPORTED_PORTS) ports.add(port);
  for (const rule of policy.rules) {
    for (const protocol of PROTOCOLS) {
      // Bounded when compiled: POLICY_LIMITS.ports.
      for (const { from, to } of rule.ports[protocol]) for (let at = from; at <= to; at += 1) ports.add(at);
    }
  }
  return [...ports].sort((a, b) => a - b);
}

function decide(inForce: PolicyInForce, question: Question): Verdict {
  const { policy } = inForce;
  const judgement = judge(policy, question);
  const muted = judgement.grants.length === 0 && isMuted(policy, question);
  const refuse = (reason: Reason, rule: Rule | null, suggestion: string | null): Verdict => ({
    decision: 'deny',
    reason,
    rule: refer(rule),
    protocols: [],
    grants: [],
    muted,
    suggestion,
  });
  const { refusing, reporting } = judgement.denied;
  if (refusing !== null) return refuse('deny-rule', refusing, null);
  if (judgement.grants.length === 0) {
    const { reason, rule } = refusalOf(judgement, question);
    const suggestion = suggestRule(indexOf(policy), question, reason);
    if (!passesInReport(policy, question, reason)) {
      return refuse(reason, rule, suggestion);
    }
    const reported: Verdict = {
      decision: 'allow',
      reason: 'would-be-denied',
      rule: refer(reporting),
      protocols: reportedProtocols(question),
      grants: [],
      muted,
      suggestion,
    };
    return underCeilings(inForce, question, reported);
  }
  const allowed: Verdict = {
    decision: 'allow',
    reason: reporting === null ? 'allowed-by-rule' : 'would-be-denied',
    rule: refer(reporting ?? firstById(judgement.grants)),
    protocols: judgement.protocols,
    grants: judgement.grants,
    muted: false,
    suggestion: null,
  };
  return underCeilings(inForce, question, allowed);
}

/** Nothing passes that a ceiling does not also allow, in either mode; a ceiling's own mode plays no part. */
function underCeilings(inForce: PolicyInForce, question: Question, verdict: Verdict): Verdict {
  if (inForce.ceilings.length === 0) return verdict;
  let { protocols } = verdict;
  const ceilingGrants: (readonly Rule[])[] = [];
  for (const ceiling of inForce.ceilings) {
    const { denied: denials, grants, protocols: within } = judge(ceiling, question);
    const denied = firstDenial(denials);
    const common = commonProtocols(protocols, within);
    const spoken = question.protocol === null ? common.length > 0 : coversProtocol(common, question.protocol);
    if (denied !== null || grants.length === 0 || !spoken) {
      const refused = { decision: 'deny', reason: 'ceiling', rule: refer(denied), suggestion: null } as const;
      return { ...verdict, ...refused, protocols: [], grants: [] };
    }
    protocols = common;
    ceilingGrants.push(grants);
  }
  return { ...verdict, protocols, ceilingGrants };
}

function commonProtocols(a: readonly Protocol[], b: readonly Protocol[]): readonly Protocol[] {
  return PROTOCOLS.filter(
    (protocol) =>
      (a.includes(protocol) && coversProtocol(b, protocol)) ||
      (b.includes(protocol) && coversProtocol(a, protocol)),
  );
}

/** What report mode lets pass: not what the guard or sand's own names refuse in any mode. */
function passesInReport(policy: CompiledPolicy, { host }: Question, reason: Reason): boolean {
  if (policy.mode !== 'report' || reason === 'metadata-address') return false;
  return host.kind === 'address' || !isReservedName(host.name);
}

function reportedProtocols({ port, protocol }: Question): readonly Protocol[] {
  if (protocol !== null) return [protocol];
  if (port === null) return PROTOCOLS;
  if (port === 80) return ['http'];
  return port === 443 ? ['https'] : ['tcp'];
}

function isMuted(policy: CompiledPolicy, { host }: Question): boolean {
  return rulesForHost(indexOf(policy).mute, host).length > 0;
}
