/**
 * Which rules come into question for one request, and what each of them makes of it by itself. What they make of it
 * together is `evaluate.ts`.
 */
import type { CompiledPolicy, Host, Rule } from '../model.ts';
import { type RuleIndex, rulesForHost } from '../rule-index.ts';
import {
  admitsMethod,
  admitsPath,
  denyingRules,
  grantsPort,
  indexOf,
  mayGrant,
  type Question,
} from '../rule-judgement.ts';

/** What one rule makes of the request; in the order in which they decide, the strongest first. */
export const EFFECTS = {
  denies: 'it denies this host on every port',
  reports: 'it denies this host, and only reports that',
  allows: 'it allows this',
  address: 'it allows this, and not the address that the name leads to',
  beaten: 'it would allow this, and a deny rule beats it',
  expired: 'it would allow this, and has passed its `until`',
  method: 'it allows this host and path, with other methods',
  path: 'it allows this host, on other paths',
  protocol: 'it allows this host and port, for another protocol',
  port: 'it allows this host, on other ports',
  past: 'it has passed its `until`, and would not allow this anyway',
  metadata: 'a metadata address is opened by its exact address and `metadata: true` alone',
  loopback: 'host.sand is opened by a rule that names it, and such a rule opens nothing else',
  mutes: 'it keeps this out of reports, and decides nothing',
  'one-label': 'its "*" is one label, and this name is deeper',
  'not-below': 'it covers that name alone, and nothing below it',
} as const;

export type Effect = keyof typeof EFFECTS;

export interface ConsideredRule {
  readonly rule: Rule;
  readonly effect: Effect;
}

/** Every rule of one policy that covers the host, and those that nearly do; the strongest first. */
export function considerRules(policy: CompiledPolicy, question: Question): readonly ConsideredRule[] {
  const index = indexOf(policy);
  const { host } = question;
  const denying = denyingRules(index, host).map((rule) => ({
    rule,
    effect: rule.report === true ? ('reports' as const) : ('denies' as const),
  }));
  const isDenied = denying.some(({ effect }) => effect === 'denies');
  const allowing = rulesForHost(index.allow, host).map((rule) => {
    const effect = effectOf(rule, question);
    return { rule, effect: effect === 'allows' && isDenied ? ('beaten' as const) : effect };
  });
  const muting = rulesForHost(index.mute, host).map((rule) => ({ rule, effect: 'mutes' as const }));
  const order = Object.keys(EFFECTS);
  return [...denying, ...allowing, ...muting, ...nearRules(index, host)].sort(
    (a, b) => order.indexOf(a.effect) - order.indexOf(b.effect) || compareText(a.rule.id, b.rule.id),
  );
}

/** Of an allow rule that covers the host. */
function effectOf(rule: Rule, question: Question): Effect {
  const { host, nowMs } = question;
  if (!mayGrant(rule, host)) return host.kind === 'address' ? 'metadata' : 'loopback';
  const fault = faultOf(rule, question);
  if (rule.untilMs !== undefined && rule.untilMs <= nowMs) return fault === null ? 'expired' : 'past';
  return fault ?? 'allows';
}

/** In what the rule falls short of the request. */
function faultOf(rule: Rule, question: Question): 'port' | 'protocol' | 'path' | 'method' | null {
  const { http } = question;
  if (!grantsPort(rule, question)) {
    return grantsPort(rule, { ...question, protocol: null }) ? 'protocol' : 'port';
  }
  if (http !== undefined && !admitsPath(rule, http)) return 'path';
  return http === undefined || admitsMethod(rule, http) ? null : 'method';
}

/** Allow rules on a name above this one that stop short of it. */
function nearRules({ allow }: RuleIndex, host: Host): readonly ConsideredRule[] {
  if (host.kind === 'address') return [];
  const near: ConsideredRule[] = [];
  const { name } = host;
  // At most as many turns as a name has labels.
  for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    const above = name.slice(dot + 1);
    const isParent = dot === name.indexOf('.');
    for (const rule of allow.exact.get(above) ?? []) near.push({ rule, effect: 'not-below' });
    if (isParent) continue;
    for (const rule of allow.child.get(above) ?? []) near.push({ rule, effect: 'one-label' });
  }
  const covering = new Set(rulesForHost(allow, host));
  return near.filter(({ rule }) => !covering.has(rule));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
