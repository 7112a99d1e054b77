/**
 * What a policy says of one request: deny beats allow in any layer, what no rule allows is denied, and every
 * ceiling must allow as well. Which rules cover a host is found by `rule-index.ts`; whether an address may be
 * dialled is decided here once it is known.
 */
import { embeddedAddresses } from './address.ts';
import { isMetadataForm, judgeAddress, judgeReported, namesMetadata } from './address-guard.ts';
import type {
  AddressVerdict,
  CompiledPolicy,
  EgressRequest,
  Host,
  Hostname,
  IpAddress,
  PolicyInForce,
  Protocol,
  Rule,
  Verdict,
} from './model.ts';
import { holdsPort, PROTOCOLS } from './port-range.ts';
import type { Reason } from './reasons.ts';
import { buildRuleIndex, type RuleIndex, rulesForAddress, rulesForHost } from './rule-index.ts';
import { firstById, refer } from './rule-ref.ts';
import { HOST_LOOPBACK_NAME, isReservedName } from './subject.ts';
import { suggestRule } from './suggestion.ts';

/** Planted besides in report mode, so that what a program tries there is seen: SSH, second web ports, databases. */
const REPORTED_PORTS: readonly number[] = [22, 1433, 3306, 5432, 6379, 8080, 8443, 27017];
const WEB_PORTS: readonly number[] = [80, 443];

/**
 * The verdict on a host and port. `protocol` null asks what may be spoken there. `nowMs` decides which rules
 * have passed their `until`.
 */
export function evaluate(
  inForce: PolicyInForce,
  { authority, protocol }: EgressRequest,
  nowMs: number = Date.now(),
): Verdict {
  return decide(inForce, { host: authority.host, port: authority.port, protocol, nowMs });
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
  const denied = denyRuleForAddress(inForce.policy, address);
  if (denied !== null) return { decision: 'deny', reason: 'deny-rule', rule: refer(denied) };
  const judged =
    verdict.reason === 'would-be-denied'
      ? judgeReported(address, hostAddresses)
      : judgeAddress(verdict.grants, address, hostAddresses);
  if (judged.decision === 'deny') return judged;
  for (const [at, ceiling] of inForce.ceilings.entries()) {
    const forbidden = denyRuleForAddress(ceiling, address);
    const grants = verdict.ceilingGrants?.[at] ?? [];
    // Fail closed: a verdict that does not carry what this ceiling granted was not made under it.
    if (forbidden !== null || grants.length === 0)
      return { decision: 'deny', reason: 'ceiling', rule: refer(forbidden) };
    const allowed = judgeAddress(grants, address, hostAddresses);
    if (allowed.decision === 'deny') return { decision: 'deny', reason: 'ceiling', rule: allowed.rule };
  }
  return { ...judged, reason: verdict.reason };
}

/** Every port on which something of the policy could be allowed, ascending; the web's own two always. */
export function plantedPorts({ policy }: PolicyInForce): readonly number[] {
  const ports = new Set(WEB_PORTS);
  if (policy.mode === 'report') for (const port of REPORTED_PORTS) ports.add(port);
  for (const rule of policy.rules) {
    for (const protocol of PROTOCOLS) {
      // Bounded when compiled: POLICY_LIMITS.ports.
      for (const { from, to } of rule.ports[protocol]) for (let at = from; at <= to; at += 1) ports.add(at);
    }
  }
  return [...ports].sort((a, b) => a - b);
}

/** One question with everything that decides it; `port` null asks about any port. */
interface Question {
  readonly host: Host;
  readonly port: number | null;
  readonly protocol: Protocol | null;
  readonly nowMs: number;
}

/** What one policy says, before mode and ceilings. */
interface Judgement {
  readonly denied: Rule | null;
  /** Allow rules that cover host, port and protocol now. */
  readonly grants: readonly Rule[];
  /** Allow rules that cover the host now, whatever the port. */
  readonly covering: readonly Rule[];
  readonly expired: Rule | null;
  readonly protocols: readonly Protocol[];
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
  if (judgement.denied !== null) return refuse('deny-rule', judgement.denied, null);
  if (judgement.grants.length === 0) {
    const reason = refusalReason(judgement, question);
    const suggestion = suggestRule(indexOf(policy), question, reason);
    if (!passesInReport(policy, question, reason)) {
      return refuse(reason, reason === 'rule-expired' ? judgement.expired : null, suggestion);
    }
    const reported: Verdict = {
      decision: 'allow',
      reason: 'would-be-denied',
      rule: null,
      protocols: reportedProtocols(question),
      grants: [],
      muted,
      suggestion,
    };
    return underCeilings(inForce, question, reported);
  }
  const allowed: Verdict = {
    decision: 'allow',
    reason: 'allowed-by-rule',
    rule: refer(firstById(judgement.grants)),
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
    const { denied, grants, protocols: within } = judge(ceiling, question);
    const common = commonProtocols(protocols, within);
    const spoken = question.protocol === null ? common.length > 0 : covers(common, question.protocol);
    if (denied !== null || grants.length === 0 || !spoken) {
      const refused = { decision: 'deny', reason: 'ceiling', rule: refer(denied), suggestion: null } as const;
      return { ...verdict, ...refused, protocols: [], grants: [] };
    }
    protocols = common;
    ceilingGrants.push(grants);
  }
  return { ...verdict, protocols, ceilingGrants };
}

function judge(policy: CompiledPolicy, question: Question): Judgement {
  const index = indexOf(policy);
  const { host, nowMs } = question;
  const denied = denyRuleFor(index, host);
  const candidates = rulesForHost(index.allow, host).filter((rule) => mayGrant(rule, host));
  const covering = candidates.filter((rule) => rule.untilMs === undefined || nowMs < rule.untilMs);
  const expired = candidates.filter((rule) => !covering.includes(rule) && grantsPort(rule, question));
  const grants = covering.filter((rule) => grantsPort(rule, question));
  const protocols = PROTOCOLS.filter((protocol) =>
    grants.some((rule) => speaks(rule, protocol, question.port)),
  );
  return { denied, grants, covering, expired: firstById(expired), protocols };
}

function denyRuleFor(index: RuleIndex, host: Host): Rule | null {
  if (host.kind === 'name') return firstById(rulesForHost(index.deny, host));
  return firstById(rulesForEveryForm(index, host.address));
}

function denyRuleForAddress(policy: CompiledPolicy, address: IpAddress): Rule | null {
  return firstById(rulesForEveryForm(indexOf(policy), address));
}

/** A denied IPv4 range is denied in every IPv6 form too. */
function rulesForEveryForm({ deny }: RuleIndex, address: IpAddress): readonly Rule[] {
  if (deny.ranges.length === 0) return [];
  return [address, ...embeddedAddresses(address)].flatMap((form) => rulesForAddress(deny, form));
}

/**
 * The kind of subject decides what a rule can grant at all: the host's loopback by its own subject only, a
 * cloud metadata address by its exact literal with `metadata: true` only.
 */
function mayGrant(rule: Rule, host: Host): boolean {
  if (host.kind === 'address') return !isMetadataForm(host.address) || namesMetadata(rule, host.address);
  const loopback = rule.subjects.some((subject) => subject.kind === 'host-loopback');
  return loopback === (host.name === HOST_LOOPBACK_NAME);
}

function grantsPort(rule: Rule, { port, protocol }: Question): boolean {
  if (protocol === null) return PROTOCOLS.some((spoken) => speaks(rule, spoken, port));
  return speaks(rule, protocol, port) || speaks(rule, 'tcp', port);
}

function speaks(rule: Rule, protocol: Protocol, port: number | null): boolean {
  const ranges = rule.ports[protocol];
  return port === null ? ranges.length > 0 : holdsPort(ranges, port);
}

/** `tcp` is any bytes, so it covers what is spoken over it. */
function covers(protocols: readonly Protocol[], protocol: Protocol): boolean {
  return protocols.includes(protocol) || protocols.includes('tcp');
}

function commonProtocols(a: readonly Protocol[], b: readonly Protocol[]): readonly Protocol[] {
  return PROTOCOLS.filter(
    (protocol) =>
      (a.includes(protocol) && covers(b, protocol)) || (b.includes(protocol) && covers(a, protocol)),
  );
}

function refusalReason({ covering, expired }: Judgement, question: Question): Reason {
  const { host } = question;
  if (expired !== null) return 'rule-expired';
  if (host.kind === 'address' && isMetadataForm(host.address)) return 'metadata-address';
  if (covering.length === 0) return host.kind === 'address' ? 'raw-address' : 'no-rule';
  const anyProtocol = covering.some((rule) => grantsPort(rule, { ...question, protocol: null }));
  return anyProtocol ? 'protocol-not-allowed' : 'port-not-allowed';
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

/** The index of a compiled policy; built anew for one put together by hand, or whose rules were replaced. */
function indexOf(policy: CompiledPolicy): RuleIndex {
  return policy.index?.rules === policy.rules ? policy.index : buildRuleIndex(policy.rules);
}
