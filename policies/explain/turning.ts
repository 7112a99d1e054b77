/**
 * The smallest change of a policy that turns a denial: which rule to write, which to take out. What is proposed has
 * been asked of the evaluator: a change that would not turn the verdict is none.
 */
import { parseRange } from '../address.ts';
import type { RuleContent } from '../edit/rule-text.ts';
import { evaluate, evaluateAddress } from '../evaluate.ts';
import type {
  AddressVerdict,
  EgressRequest,
  IpAddress,
  IpRange,
  PolicyInForce,
  Protocol,
  Rule,
  Subject,
  Verdict,
} from '../model.ts';
import { parsePathPattern } from '../path-pattern.ts';
import { DEFAULT_PORTS, NO_PORTS } from '../port-range.ts';
import type { Reason } from '../reasons.ts';
import { buildRuleIndex } from '../rule-index.ts';
import { denyingRules, indexOf } from '../rule-judgement.ts';
import { parseSubject } from '../subject.ts';

export interface Turning {
  /** Deny rules that go. */
  readonly remove: readonly Rule[];
  /** The rule to write; null where taking one out is enough. */
  readonly add: RuleContent | null;
}

/** What is known of a request beside the request itself. */
export interface Circumstances {
  readonly nowMs: number;
  /** What the name resolves to, where that is known; none otherwise. */
  readonly addresses: readonly IpAddress[];
  readonly hostAddresses: readonly IpAddress[];
}

/** How long a rule opens again what has expired. */
const REOPENED_MS = 3_600_000;
/** Longer paths are not worth a rule of their own. */
const LONGEST_PATH = 120;

/** Null where no change of this policy can turn it, or none should be proposed. */
export function planTurning(
  inForce: PolicyInForce,
  request: EgressRequest,
  reason: Reason,
  circumstances: Circumstances,
): Turning | null {
  const remove = reason === 'deny-rule' ? refusingRules(inForce, request, circumstances.addresses) : [];
  const without = { remove, add: null };
  if (remove.length > 0 && isTurned(inForce, request, without, circumstances)) return without;
  const add = grantFor(request, reason, circumstances);
  if (add === null) return null;
  const turning = { remove, add };
  return isTurned(inForce, request, turning, circumstances) ? turning : null;
}

/** The policy with the change made. */
export function turnPolicy({ policy, ceilings }: PolicyInForce, { remove, add }: Turning): PolicyInForce {
  const kept = policy.rules.filter((rule) => !remove.includes(rule));
  const origin = { file: 'change', line: 0, column: 0 };
  const rules = add === null ? kept : [...kept, { ...add, id: 'change', origin }];
  return { policy: { ...policy, rules, index: buildRuleIndex(rules) }, ceilings };
}

/** By rules, in either mode: what only passes because it is reported is not turned. */
function isTurned(
  inForce: PolicyInForce,
  request: EgressRequest,
  turning: Turning,
  { nowMs, addresses, hostAddresses }: Circumstances,
): boolean {
  const turned = turnPolicy(inForce, turning);
  const verdict = evaluate(turned, request, nowMs);
  if (verdict.decision === 'deny' || verdict.grants.length === 0) return false;
  const said = judgeAddresses(turned, verdict, addresses, hostAddresses);
  return said.length === 0 || said.some(({ decision }) => decision === 'allow');
}

export function judgeAddresses(
  inForce: PolicyInForce,
  verdict: Verdict,
  addresses: readonly IpAddress[],
  hostAddresses: readonly IpAddress[],
): readonly AddressVerdict[] {
  return addresses.map((address) => evaluateAddress(inForce, verdict, address, hostAddresses));
}

function refusingRules(
  { policy }: PolicyInForce,
  { authority }: EgressRequest,
  addresses: readonly IpAddress[],
): readonly Rule[] {
  const index = indexOf(policy);
  const hosts = [authority.host, ...addresses.map((address) => ({ kind: 'address', address }) as const)];
  const covering = hosts.flatMap((host) => denyingRules(index, host));
  return [...new Set(covering)].filter(({ report }) => report !== true);
}

/** Reasons that a further rule can turn. */
const TURNED_BY_A_RULE: readonly Reason[] = [
  'no-rule',
  'raw-address',
  'port-not-allowed',
  'port-not-planted',
  'protocol-not-allowed',
  'method-not-allowed',
  'path-not-allowed',
  'rule-expired',
  'address-guarded',
  'address-not-listed',
  'deny-rule',
];

function grantFor(request: EgressRequest, reason: Reason, circumstances: Circumstances): RuleContent | null {
  if (!TURNED_BY_A_RULE.includes(reason)) return null;
  const { host, port } = request.authority;
  const subject = parseSubject(host.kind === 'name' ? host.name : host.address);
  // No rule reaches sand's own names, but for the host's loopback.
  if (!subject.ok) return null;
  const ports = portsFor(port, request.protocol);
  const isLoopback = subject.value.kind === 'host-loopback';
  const plain = plainGrant(subject.value, isLoopback ? portAlone(port, request.protocol) : ports);
  if (reason === 'rule-expired') {
    const untilMs = Math.floor((circumstances.nowMs + REOPENED_MS) / 1000) * 1000;
    return { ...plain, untilMs };
  }
  if (reason === 'method-not-allowed' || reason === 'path-not-allowed') return requestGrant(plain, request);
  if (reason === 'address-guarded' || reason === 'address-not-listed') {
    if (host.kind === 'address' || circumstances.addresses.length === 0) return null;
    const ranges = circumstances.addresses.flatMap((address): readonly IpRange[] => {
      const range = parseRange(address);
      return range.ok ? [range.value] : [];
    });
    return { ...plain, addresses: [...new Set(ranges)].sort() };
  }
  return plain;
}

function plainGrant(subject: Subject, ports: RuleContent['ports']): RuleContent {
  return { verb: 'allow', subjects: [subject], ports, addresses: null, metadata: false, because: null };
}

/** The web on its own two ports is one rule, as people write it; else the port alone. */
function portsFor(port: number, protocol: Protocol | null): Rule['ports'] {
  const isWeb =
    (port === 80 && (protocol === null || protocol === 'http')) ||
    (port === 443 && (protocol === null || protocol === 'https'));
  return isWeb ? DEFAULT_PORTS : portAlone(port, protocol);
}

function portAlone(port: number, protocol: Protocol | null): Rule['ports'] {
  return { ...NO_PORTS, [protocol ?? 'tcp']: [{ from: port, to: port }] };
}

/** This one method and path; null where they cannot stand in a rule as they are. */
function requestGrant(plain: RuleContent, { authority, http }: EgressRequest): RuleContent | null {
  if (http === undefined || !http.path.ok || !/^[A-Z][A-Z0-9-]{0,31}$/.test(http.method)) return null;
  const text = `/${http.path.segments.join('/')}`;
  if (!/^\/[A-Za-z0-9._~@:+,=/-]*$/.test(text) || text.length > LONGEST_PATH) return null;
  const pattern = parsePathPattern(text);
  if (!pattern.ok) return null;
  const ports = { ...NO_PORTS, http: [{ from: authority.port, to: authority.port }] };
  return { ...plain, ports, methods: [http.method], paths: [pattern.value] };
}
