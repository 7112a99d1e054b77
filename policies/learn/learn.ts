/**
 * What runs needed and a policy → the fewest rules that the policy lacks, on exactly the ports that were used. Groups
 * and wildcards that would say the same more broadly are proposed beside, each with what it would open besides.
 */
import type { RuleContent } from '../edit/rule-text.ts';
import { evaluate } from '../evaluate.ts';
import { formatHost } from '../hostname.ts';
import type {
  EgressRequest,
  Host,
  HostPattern,
  PolicyInForce,
  PortRange,
  Protocol,
  Subject,
  Verdict,
} from '../model.ts';
import { parsePattern } from '../pattern.ts';
import { joinRanges, NO_PORTS, PROTOCOLS } from '../port-range.ts';
import type { DomainGroup } from '../presets.ts';
import { wildcardScope } from '../public-suffix.ts';
import type { Reason } from '../reasons.ts';
import { denyingRules, indexOf } from '../rule-judgement.ts';
import { formatSubject, parseSubject } from '../subject.ts';

export interface Need {
  readonly host: Host;
  readonly uses: readonly { readonly protocol: Protocol; readonly port: number }[];
  /** It led to an address that only a rule with `addresses` opens, which a person writes. */
  readonly leadsInside: boolean;
}

export interface LearnOptions {
  readonly nowMs: number;
  readonly groups: ReadonlyMap<string, DomainGroup>;
  /** Whether names below one parent become a wildcard. */
  readonly wildcards: boolean;
}

export interface Learnt {
  /** What the policy lacks; hosts on the same ports share a rule. */
  readonly rules: readonly RuleContent[];
  /** Hosts that the rules are for, in the order of the needs. */
  readonly hosts: readonly Host[];
  /** What is not for learning: a rule or a ceiling of the policy says otherwise, or the name leads inside. */
  readonly refused: readonly { readonly host: Host; readonly port: number; readonly reason: Reason }[];
  readonly groups: readonly GroupProposal[];
  readonly wildcards: readonly WildcardProposal[];
}

export interface GroupProposal {
  /** `group:NAME`, to be extended. */
  readonly name: string;
  readonly covers: readonly string[];
  /** Patterns that it would open besides. */
  readonly opens: readonly string[];
}

export interface WildcardProposal {
  readonly pattern: string;
  readonly replaces: readonly string[];
}

const LEARN_LIMITS = {
  /** Fewer names say nothing of a group. */
  groupHosts: 2,
  /** Fewer names say nothing of what else lies beside them. */
  wildcardNames: 3,
} as const;

export function learnRules(needs: readonly Need[], inForce: PolicyInForce, options: LearnOptions): Learnt {
  const refused: Learnt['refused'][number][] = [];
  const held = enforced(inForce);
  const lacking = needs.flatMap(({ host, uses, leadsInside }) => {
    const open = uses.filter(({ port, protocol }) => {
      const request = { authority: { host, port }, protocol };
      const verdict = evaluate(held, request, options.nowMs);
      if (verdict.decision === 'allow' && verdict.reason === 'allowed-by-rule') return false;
      const reason =
        meantOtherwise(held, request, verdict, options.nowMs) ?? (leadsInside ? 'address-guarded' : null);
      if (reason !== null) refused.push({ host, port, reason });
      return reason === null;
    });
    return open.length === 0 ? [] : [{ host, ports: portsOf(open) }];
  });
  const wildcards = options.wildcards ? proposeWildcards(lacking) : [];
  return {
    rules: rulesFor(lacking, wildcards),
    hosts: lacking.map(({ host }) => host),
    refused,
    groups: proposeGroups(lacking, options.groups),
    wildcards: wildcards.map(({ pattern, replaces }) => ({ pattern: pattern.text, replaces })),
  };
}

/** A rule that denies, reports or has expired, and a ceiling, stand there because somebody meant them. */
function meantOtherwise(
  { policy, ceilings }: PolicyInForce,
  request: EgressRequest,
  verdict: Verdict,
  nowMs: number,
): Reason | null {
  const denying = denyingRules(indexOf(policy), request.authority.host);
  if (denying.length > 0) return denying.every(({ report }) => report) ? 'would-be-denied' : 'deny-rule';
  const isHeld = ceilings.some((ceiling) => {
    const alone = enforced({ policy: ceiling, ceilings: [] });
    return evaluate(alone, request, nowMs).decision === 'deny';
  });
  if (isHeld) return 'ceiling';
  return verdict.rule === null ? null : verdict.reason;
}

function enforced({ policy, ceilings }: PolicyInForce): PolicyInForce {
  return { policy: { ...policy, mode: 'enforce' }, ceilings };
}

interface Lacking {
  readonly host: Host;
  readonly ports: RuleContent['ports'];
}

function portsOf(uses: Need['uses']): RuleContent['ports'] {
  const of = (wanted: Protocol): readonly PortRange[] =>
    joinPorts(uses.filter(({ protocol }) => protocol === wanted).map(({ port }) => port));
  return { ...NO_PORTS, http: of('http'), https: of('https'), tcp: of('tcp') };
}

function joinPorts(ports: readonly number[]): readonly PortRange[] {
  return joinRanges(ports.map((port) => ({ from: port, to: port })));
}

/** One rule for each kind of subject and set of ports, in the order of what is asked for first. */
function rulesFor(
  lacking: readonly Lacking[],
  wildcards: readonly { readonly pattern: HostPattern; readonly replaces: readonly string[] }[],
): readonly RuleContent[] {
  const groups = new Map<string, { ports: RuleContent['ports']; subjects: Map<string, Subject> }>();
  for (const { host, ports } of lacking) {
    const text = formatHost(host);
    const wildcard = wildcards.find(({ replaces }) => replaces.includes(text));
    const exact = parseSubject(host.kind === 'name' ? host.name : host.address);
    if (!exact.ok) continue;
    const subject: Subject =
      wildcard === undefined ? exact.value : { kind: 'names', pattern: wildcard.pattern };
    const key = `${subject.kind} ${portsKey(ports)}`;
    const group = groups.get(key) ?? { ports, subjects: new Map() };
    groups.set(key, group);
    group.subjects.set(formatSubject(subject), subject);
  }
  return [...groups.values()].map(({ ports, subjects }) => ({
    verb: 'allow',
    subjects: [...subjects.values()],
    ports,
    addresses: null,
    metadata: false,
    because: null,
  }));
}

function portsKey(ports: RuleContent['ports']): string {
  return JSON.stringify(PROTOCOLS.map((protocol) => ports[protocol]));
}

/** Parents with several names right below them that were asked on the same ports. */
function proposeWildcards(
  lacking: readonly Lacking[],
): readonly { readonly pattern: HostPattern; readonly replaces: readonly string[] }[] {
  const below = new Map<string, string[]>();
  for (const { host, ports } of lacking) {
    const dot = host.kind === 'name' ? host.name.indexOf('.') : -1;
    if (host.kind !== 'name' || dot === -1) continue;
    const key = `${host.name.slice(dot + 1)}\n${portsKey(ports)}`;
    below.set(key, [...(below.get(key) ?? []), host.name]);
  }
  return [...below].flatMap(([key, replaces]) => {
    if (replaces.length < LEARN_LIMITS.wildcardNames) return [];
    const pattern = parsePattern(`*.${key.split('\n')[0]}`);
    // Below a public suffix each name has an owner of its own.
    if (!pattern.ok || wildcardScope(pattern.value).kind !== 'owned') return [];
    return [{ pattern: pattern.value, replaces }];
  });
}

/** Groups that cover several of the hosts; those that open the least besides first. */
function proposeGroups(
  lacking: readonly Lacking[],
  groups: ReadonlyMap<string, DomainGroup>,
): readonly GroupProposal[] {
  const web = lacking.filter(({ ports }) => isWeb(ports));
  const proposals = [...groups].flatMap(([name, { usual, hosts }]): readonly GroupProposal[] => {
    const small = proposalOf(`group:${name}`, usual, web);
    const all = hosts.length === usual.length ? null : proposalOf(`group:${name}/all`, hosts, web);
    // The whole list only where it covers more than the usual hosts do.
    const isMore = all !== null && all.covers.length > (small?.covers.length ?? 0);
    return [...(small === null ? [] : [small]), ...(isMore ? [all] : [])];
  });
  return proposals.sort(
    (a, b) =>
      b.covers.length - a.covers.length || a.opens.length - b.opens.length || compareText(a.name, b.name),
  );
}

function proposalOf(
  name: string,
  patterns: readonly string[],
  lacking: readonly Lacking[],
): GroupProposal | null {
  const parsed = patterns.flatMap((text) => {
    const pattern = parsePattern(text);
    return pattern.ok ? [pattern.value] : [];
  });
  const names = lacking.flatMap(({ host }) => (host.kind === 'name' ? [host.name] : []));
  const covers = names.filter((host) => parsed.some((pattern) => pattern.matches(host)));
  if (covers.length < LEARN_LIMITS.groupHosts) return null;
  const opens = parsed.filter(({ text }) => !covers.some((host) => host === text)).map(({ text }) => text);
  return { name, covers, opens };
}

/** What a group allows: plain HTTP and https on their own ports. */
function isWeb({ http, https, tcp }: RuleContent['ports']): boolean {
  const holds = (ranges: readonly PortRange[], port: number) =>
    ranges.every(({ from, to }) => from === port && to === port);
  return tcp.length === 0 && holds(http, 80) && holds(https, 443);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
