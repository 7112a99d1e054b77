/**
 * What the rules of one policy say of one question, before its mode and any ceiling: which deny it, which grant
 * it, and which come near. Which rules cover a host is found by `rule-index.ts`; the verdict is `evaluate.ts`.
 */
import { embeddedAddresses } from './address.ts';
import { isMetadataForm, namesMetadata } from './address-guard.ts';
import type { CompiledPolicy, Host, HttpRequest, IpAddress, Protocol, Rule } from './model.ts';
import { matchesPath } from './path-pattern.ts';
import { holdsPort, PROTOCOLS } from './port-range.ts';
import type { Reason } from './reasons.ts';
import { buildRuleIndex, type RuleIndex, rulesForAddress, rulesForHost } from './rule-index.ts';
import { firstById } from './rule-ref.ts';
import { HOST_LOOPBACK_NAME } from './subject.ts';

/** One question with everything that decides it; `port` null asks about any port. */
export interface Question {
  readonly host: Host;
  readonly port: number | null;
  readonly protocol: Protocol | null;
  readonly http?: HttpRequest | undefined;
  readonly nowMs: number;
}

export interface Judgement {
  readonly denied: Denials;
  /** Allow rules that cover host, port and protocol now. */
  readonly grants: readonly Rule[];
  /** Allow rules that cover the host now, whatever the port. */
  readonly covering: readonly Rule[];
  readonly expired: Rule | null;
  readonly protocols: readonly Protocol[];
}

/** The deny rules that cover something: the first that refuses it, and the first that only reports it. */
export interface Denials {
  readonly refusing: Rule | null;
  readonly reporting: Rule | null;
}

export function judge(policy: CompiledPolicy, question: Question): Judgement {
  const index = indexOf(policy);
  const { host, nowMs } = question;
  const candidates = rulesForHost(index.allow, host).filter((rule) => mayGrant(rule, host));
  const covering = candidates.filter((rule) => rule.untilMs === undefined || nowMs < rule.untilMs);
  const expired = candidates.filter((rule) => !covering.includes(rule) && grantsRequest(rule, question));
  const grants = covering.filter((rule) => grantsRequest(rule, question));
  const protocols = PROTOCOLS.filter((protocol) =>
    grants.some((rule) => speaks(rule, protocol, question.port)),
  );
  return { denied: denialsFor(index, host), grants, covering, expired: firstById(expired), protocols };
}

export function denialsForAddress(policy: CompiledPolicy, address: IpAddress): Denials {
  return sortDenials(rulesForEveryForm(indexOf(policy), address));
}

export interface Refusal {
  readonly reason: Reason;
  /** The rule that would have granted it; null where none comes that near. */
  readonly rule: Rule | null;
}

/** Why nothing grants it. */
export function refusalOf(judgement: Judgement, question: Question): Refusal {
  const { covering, expired } = judgement;
  if (expired !== null) return { reason: 'rule-expired', rule: expired };
  const near = covering.filter((rule) => grantsPort(rule, question));
  if (near.length === 0) return { reason: hostReason(covering, question), rule: null };
  const { http } = question;
  const onPath = near.filter((rule) => http !== undefined && admitsPath(rule, http));
  if (onPath.length > 0) return { reason: 'method-not-allowed', rule: firstById(onPath) };
  const byMethod = near.filter((rule) => http !== undefined && admitsMethod(rule, http));
  return { reason: 'path-not-allowed', rule: firstById(byMethod.length > 0 ? byMethod : near) };
}

function hostReason(covering: readonly Rule[], question: Question): Reason {
  const { host } = question;
  if (host.kind === 'address' && isMetadataForm(host.address)) return 'metadata-address';
  if (covering.length === 0) return host.kind === 'address' ? 'raw-address' : 'no-rule';
  const anyProtocol = covering.some((rule) => grantsPort(rule, { ...question, protocol: null }));
  return anyProtocol ? 'protocol-not-allowed' : 'port-not-allowed';
}

/** `tcp` is any bytes, so it covers what is spoken over it. */
export function coversProtocol(protocols: readonly Protocol[], protocol: Protocol): boolean {
  return protocols.includes(protocol) || protocols.includes('tcp');
}

/** The index of a compiled policy; built anew for one put together by hand, or whose rules were replaced. */
export function indexOf(policy: CompiledPolicy): RuleIndex {
  return policy.index?.rules === policy.rules ? policy.index : buildRuleIndex(policy.rules);
}

function denialsFor(index: RuleIndex, host: Host): Denials {
  return sortDenials(denyingRules(index, host));
}

/** Every deny rule that covers a host, in any form of its address. */
export function denyingRules(index: RuleIndex, host: Host): readonly Rule[] {
  return host.kind === 'name' ? rulesForHost(index.deny, host) : rulesForEveryForm(index, host.address);
}

function sortDenials(rules: readonly Rule[]): Denials {
  if (rules.length === 0) return NO_DENIALS;
  return {
    refusing: firstById(rules.filter(({ report }) => report !== true)),
    reporting: firstById(rules.filter(({ report }) => report === true)),
  };
}

const NO_DENIALS: Denials = { refusing: null, reporting: null };

/** A denied IPv4 range is denied in every IPv6 form too. */
function rulesForEveryForm({ deny }: RuleIndex, address: IpAddress): readonly Rule[] {
  if (deny.ranges.length === 0) return [];
  return [address, ...embeddedAddresses(address)].flatMap((form) => rulesForAddress(deny, form));
}

/**
 * The kind of subject decides what a rule can grant at all: the host's loopback by its own subject only, a
 * cloud metadata address by its exact literal with `metadata: true` only.
 */
export function mayGrant(rule: Rule, host: Host): boolean {
  if (host.kind === 'address') return !isMetadataForm(host.address) || namesMetadata(rule, host.address);
  const loopback = rule.subjects.some((subject) => subject.kind === 'host-loopback');
  return loopback === (host.name === HOST_LOOPBACK_NAME);
}

/** Host, port and protocol, and of a request that is read its method and path. */
function grantsRequest(rule: Rule, question: Question): boolean {
  const { http } = question;
  if (!grantsPort(rule, question)) return false;
  return http === undefined || (admitsMethod(rule, http) && admitsPath(rule, http));
}

export function admitsMethod({ methods }: Rule, { method }: HttpRequest): boolean {
  return methods === undefined || methods.includes(method);
}

/** Fail closed: a path that cannot be read matches no pattern. */
export function admitsPath({ paths }: Rule, { path }: HttpRequest): boolean {
  if (paths === undefined) return true;
  return path.ok && paths.some((pattern) => matchesPath(pattern, path.segments));
}

export function grantsPort(rule: Rule, { port, protocol }: Question): boolean {
  if (protocol === null) return PROTOCOLS.some((spoken) => speaks(rule, spoken, port));
  return speaks(rule, protocol, port) || speaks(rule, 'tcp', port);
}

function speaks(rule: Rule, protocol: Protocol, port: number | null): boolean {
  const ranges = rule.ports[protocol];
  return port === null ? ranges.length > 0 : holdsPort(ranges, port);
}
