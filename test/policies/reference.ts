/**
 * A second evaluator, written from the description of the policy language alone: slow, obvious, and sharing no
 * code with the first. Tests hold the two to each other.
 */
import { BlockList, isIP } from 'node:net';

/** A policy document without `extends`, as plain data: what `JSON.stringify` of it means as YAML. */
export interface PlainPolicy {
  readonly version: 1;
  readonly mode: 'enforce' | 'report';
  readonly rules: readonly PlainRule[];
  readonly requires?: PlainRequirements;
}

export interface PlainRequirements {
  readonly confinement?: 'enforced';
  readonly isolation?: PlainGuest['isolation'];
}

export interface PlainGuest {
  readonly confinement: 'enforced' | 'cooperative';
  readonly isolation: 'namespaces' | 'gvisor' | 'vm';
}

export type PlainRule =
  | {
      readonly allow: readonly string[];
      readonly http?: readonly PlainPort[];
      readonly https?: readonly PlainPort[];
      readonly tcp?: readonly PlainPort[];
      readonly addresses?: readonly string[];
      readonly metadata?: true;
      readonly until?: string;
      readonly methods?: readonly string[];
      readonly paths?: readonly string[];
      readonly limits?: Readonly<Record<string, number>>;
    }
  | { readonly deny: readonly string[]; readonly report?: true }
  | { readonly mute: readonly string[] };

export type PlainPort = number | string;
type Protocol = 'http' | 'https' | 'tcp';
type AllowRule = Extract<PlainRule, { readonly allow: readonly string[] }>;

export interface PlainRequest {
  /** A canonical name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly protocol: Protocol | null;
  /** A plain-HTTP request that was read. */
  readonly http?: { readonly method: string; readonly target: string };
}

export interface PlainVerdict {
  readonly decision: 'allow' | 'deny';
  readonly reason: string;
  readonly protocols: readonly Protocol[];
  readonly muted: boolean;
}

const PROTOCOLS = ['http', 'https', 'tcp'] as const;
const METADATA = ['169.254.169.254', '168.63.129.16', 'fd00:ec2::254'];

export function referenceVerdict(
  policy: PlainPolicy,
  ceilings: readonly PlainPolicy[],
  request: PlainRequest,
  nowMs: number,
): PlainVerdict {
  const own = ownVerdict(policy, request, nowMs);
  if (own.decision === 'deny') return own;
  let { protocols } = own;
  for (const ceiling of ceilings) {
    const above = ownVerdict(strictly(ceiling), request, nowMs);
    const shared = PROTOCOLS.filter((one) => speaks(protocols, one) && speaks(above.protocols, one));
    // What is in neither list by name only seems shared: both sides reach it through tcp, which is then shared.
    protocols = shared.filter((one) => protocols.includes(one) || above.protocols.includes(one));
    const usable = request.protocol === null ? protocols.length > 0 : speaks(protocols, request.protocol);
    if (above.decision === 'deny' || !usable) {
      return { decision: 'deny', reason: 'ceiling', protocols: [], muted: own.muted };
    }
  }
  return { ...own, protocols };
}

/** Every guest there is. */
export const GUESTS: readonly PlainGuest[] = (['enforced', 'cooperative'] as const).flatMap((confinement) =>
  (['namespaces', 'gvisor', 'vm'] as const).map((isolation) => ({ confinement, isolation })),
);

/** By the list of what is strong enough for each word. */
const ENOUGH: Readonly<Record<PlainGuest['isolation'], readonly PlainGuest['isolation'][]>> = {
  namespaces: ['namespaces', 'gvisor', 'vm'],
  gvisor: ['gvisor', 'vm'],
  vm: ['vm'],
};

/** Whether a guest may start under a policy and its ceilings. */
export function referenceStarts(policies: readonly PlainPolicy[], guest: PlainGuest): boolean {
  return policies.every(({ requires = {} }) => {
    const isConfined = requires.confinement === undefined || guest.confinement === 'enforced';
    return isConfined && ENOUGH[requires.isolation ?? 'namespaces'].includes(guest.isolation);
  });
}

/** A ceiling reports nothing. */
function strictly(ceiling: PlainPolicy): PlainPolicy {
  const rules = ceiling.rules.map((rule) => ('deny' in rule ? { deny: rule.deny } : rule));
  return { ...ceiling, mode: 'enforce', rules };
}

/** `tcp` is any bytes. */
function speaks(protocols: readonly Protocol[], protocol: Protocol): boolean {
  return protocols.includes(protocol) || protocols.includes('tcp');
}

function ownVerdict(policy: PlainPolicy, request: PlainRequest, nowMs: number): PlainVerdict {
  const { host, port, protocol, http } = request;
  const covering = policy.rules
    .filter((rule) => 'allow' in rule)
    .filter((rule) => rule.allow.some((subject) => grantsSubject(rule, subject, host)));
  const onPort = (rule: AllowRule): boolean =>
    PROTOCOLS.some(
      (one) => hasPort(rule, one, port) && (protocol === null || one === protocol || one === 'tcp'),
    );
  const byMethod = (rule: AllowRule): boolean =>
    http === undefined || rule.methods === undefined || rule.methods.includes(http.method);
  const byPath = (rule: AllowRule): boolean =>
    http === undefined ||
    rule.paths === undefined ||
    rule.paths.some((path) => matchesTarget(path, http.target));
  const wanted = (rule: AllowRule): boolean => onPort(rule) && byMethod(rule) && byPath(rule);
  const alive = covering.filter((rule) => rule.until === undefined || nowMs < Date.parse(rule.until));
  const granting = alive.filter(wanted);
  const isCovered = (subjects: readonly string[]): boolean =>
    subjects.some((subject) => covers(subject, host, true));
  const muted =
    granting.length === 0 &&
    policy.rules.some((rule) => 'mute' in rule && rule.mute.some((subject) => covers(subject, host, false)));
  const denying = policy.rules.filter((rule) => 'deny' in rule && isCovered(rule.deny));
  const isReported = denying.some((rule) => 'report' in rule);
  if (denying.some((rule) => !('report' in rule))) {
    return { decision: 'deny', reason: 'deny-rule', protocols: [], muted };
  }
  if (granting.length > 0) {
    const protocols = PROTOCOLS.filter((one) => granting.some((rule) => hasPort(rule, one, port)));
    return {
      decision: 'allow',
      reason: isReported ? 'would-be-denied' : 'allowed-by-rule',
      protocols,
      muted,
    };
  }
  const isAddress = isIP(host) !== 0;
  const reason = ((): string => {
    if (covering.some((rule) => !alive.includes(rule) && wanted(rule))) return 'rule-expired';
    if (METADATA.includes(host)) return 'metadata-address';
    if (alive.length === 0) return isAddress ? 'raw-address' : 'no-rule';
    if (alive.some(onPort))
      return alive.some((rule) => onPort(rule) && byPath(rule)) ? 'method-not-allowed' : 'path-not-allowed';
    return alive.some((rule) => PROTOCOLS.some((one) => hasPort(rule, one, port)))
      ? 'protocol-not-allowed'
      : 'port-not-allowed';
  })();
  const guarded = METADATA.includes(host) || host === 'sand' || host.endsWith('.sand');
  if (policy.mode === 'report' && !guarded) {
    const usual: Protocol = port === 80 ? 'http' : port === 443 ? 'https' : 'tcp';
    return { decision: 'allow', reason: 'would-be-denied', protocols: [protocol ?? usual], muted };
  }
  return { decision: 'deny', reason, protocols: [], muted };
}

/** Whether a request passes whose host resolves to this address, or is it; as in the description of the guard. */
export function referencePasses(
  policy: PlainPolicy,
  ceilings: readonly PlainPolicy[],
  request: PlainRequest,
  address: string,
  nowMs: number,
): boolean {
  if (referenceVerdict(policy, ceilings, request, nowMs).decision === 'deny') return false;
  return [policy, ...ceilings.map(strictly)].every((layer) => opens(layer, request, address, nowMs));
}

const GUARDED = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/4', '240.0.0.0/4'],
];

function opens(policy: PlainPolicy, request: PlainRequest, address: string, nowMs: number): boolean {
  const forms = [address, ...embedded(address)];
  const refusing = policy.rules.flatMap((rule) => ('deny' in rule && !('report' in rule) ? rule.deny : []));
  if (refusing.some((subject) => forms.some((form) => covers(subject, form, true)))) return false;
  const isMetadata = forms.some((form) => METADATA.includes(form));
  const isRouted = address.includes('.') || /^[23]/.test(address) || forms.length > 1;
  const isGuarded =
    !isRouted || forms.some((form) => isIP(form) === 4 && GUARDED.some((range) => inRange(range, form)));
  const grants = policy.rules.filter(
    (rule): rule is AllowRule =>
      'allow' in rule &&
      ownVerdict({ ...policy, mode: 'enforce', rules: [rule] }, request, nowMs).decision === 'allow',
  );
  if (grants.length === 0) return !isMetadata && !isGuarded;
  return grants.some((rule) => {
    if (request.host === 'host.sand') return address === '127.0.0.1' || address === '::1';
    if (isMetadata) return rule.metadata === true && rule.allow.includes(address);
    if (isIP(request.host) !== 0) return true;
    if (rule.addresses !== undefined) return rule.addresses.some((range) => inRange(range, address));
    return !isGuarded;
  });
}

/** IPv4 inside IPv6: mapped, 6to4 and ISATAP, read off the groups. */
function embedded(address: string): readonly string[] {
  if (isIP(address) !== 6) return [];
  const dotted = /^::ffff:([\d.]+)$/.exec(address)?.[1];
  if (dotted !== undefined) return [dotted];
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string): readonly string[] => (text === '' ? [] : text.split(':'));
  const zeros = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: zeros }, () => '0'), ...groups(tail)];
  const quad = (at: number): string =>
    [all[at], all[at + 1]]
      .map((group) => Number.parseInt(group ?? '0', 16))
      .flatMap((value) => [value >> 8, value & 255])
      .join('.');
  const isIsatap = ['0', '200'].includes(all[4] ?? '') && all[5] === '5efe';
  return [...(all[0] === '2002' ? [quad(1)] : []), ...(isIsatap ? [quad(6)] : [])];
}

/** By way of the platform's own URL parser and a regular expression; what is ambiguous matches nothing. */
export function matchesTarget(pattern: string, target: string): boolean {
  const path = target.split('?')[0] ?? '';
  if (!path.startsWith('/') || path.includes('//')) return false;
  if (/%(2f|5c|25[0-9a-f]{2}|[01][0-9a-f]|7f|[89a-f][0-9a-f])|\\|\/\.{1,2};/i.test(path)) return false;
  const judged = decodeURIComponent(new URL(`http://host.example${path}`).pathname);
  const parts = pattern
    .slice(1)
    .split('/')
    .map((segment) => {
      if (segment === '**') return '(?:/.*)?';
      if (segment === '*') return '/[^/]+';
      return `/${segment.replaceAll(/[.+^$|]/g, '\\$&').replaceAll('*', '[^/]*')}`;
    });
  return new RegExp(`^${parts.join('')}$`, 's').test(judged);
}

function hasPort(rule: AllowRule, protocol: Protocol, port: number): boolean {
  const named = rule.http !== undefined || rule.https !== undefined || rule.tcp !== undefined;
  const ports = named
    ? (rule[protocol] ?? [])
    : protocol === 'http'
      ? [80]
      : protocol === 'https'
        ? [443]
        : [];
  return ports.some((one) => {
    const [from, to = from] = String(one).split('-').map(Number);
    return from !== undefined && to !== undefined && from <= port && port <= to;
  });
}

function grantsSubject(rule: AllowRule, subject: string, host: string): boolean {
  if (METADATA.includes(host)) return rule.metadata === true && subject === host;
  return covers(subject, host, false);
}

/** Whether one subject is about a host. A denied IPv4 range is denied inside an IPv6 address too. */
function covers(subject: string, host: string, insideIpv6: boolean): boolean {
  const isRange = isIP(subject.split('/')[0] ?? '') !== 0;
  if (isIP(host) !== 0) {
    if (!isRange) return false;
    const mapped = /^::ffff:([\d.]+)$/.exec(host)?.[1];
    return inRange(subject, host) || (insideIpv6 && mapped !== undefined && inRange(subject, mapped));
  }
  return !isRange && matchesPattern(subject, host);
}

export function inRange(range: string, address: string): boolean {
  const [network = '', length] = range.split('/');
  const family = isIP(network) === 4 ? 'ipv4' : 'ipv6';
  const ownFamily = isIP(address) === 4 ? 'ipv4' : 'ipv6';
  // BlockList looks inside mapped addresses; the language does not, so families are compared first.
  if (family !== ownFamily) return false;
  const list = new BlockList();
  list.addSubnet(network, length === undefined ? (family === 'ipv4' ? 32 : 128) : Number(length), family);
  return list.check(address, ownFamily);
}

/** Label by label, from the right. */
export function matchesPattern(pattern: string, name: string): boolean {
  const wanted = pattern.split('.');
  const labels = name.split('.');
  if (wanted[0] === '**') {
    const rest = wanted.slice(1);
    if (labels.length < rest.length) return false;
    return sameLabels(rest, labels.slice(labels.length - rest.length));
  }
  return wanted.length === labels.length && sameLabels(wanted, labels);
}

function sameLabels(wanted: readonly string[], labels: readonly string[]): boolean {
  return wanted.every((one, at) => matchesLabel(one, labels[at] ?? ''));
}

function matchesLabel(wanted: string, label: string): boolean {
  if (!wanted.includes('*')) return wanted === label;
  const star = wanted.indexOf('*');
  const before = wanted.slice(0, star);
  const after = wanted.slice(star + 1);
  if (wanted === '*') return label !== '';
  if (!label.startsWith(before)) return false;
  for (let at = before.length; at <= label.length; at += 1) {
    const rest = label.slice(at);
    if (
      after === ''
        ? rest === '' || at === label.length
        : after.includes('*')
          ? matchesRest(after, rest)
          : rest === after
    ) {
      return true;
    }
  }
  return false;
}

function matchesRest(wanted: string, label: string): boolean {
  return wanted === '*' || matchesLabel(wanted, label);
}
