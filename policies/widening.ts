/**
 * Whether a policy that was merely found asks for more than `strict`. Conservative: what cannot be shown to be
 * within `strict` counts as wider, and each reason is a sentence for the person who is asked.
 */

import { rangeCovers } from './address.ts';
import { DEFAULT_LIMITS, LIMIT_KEYS, type LimitKey } from './guest-limits.ts';
import type { CompiledPolicy, PolicyLimits, Protocol, Rule, Subject } from './model.ts';
import { subsumes } from './pattern.ts';
import { formatPortRange, PROTOCOLS } from './port-range.ts';
import { formatSubject } from './subject.ts';

export type Widening =
  | { readonly wider: false }
  | { readonly wider: true; readonly because: readonly string[] };

/** In whatever phase. */
export function widerThanStrict(found: CompiledPolicy, strict: CompiledPolicy): Widening {
  const policies = found.phases?.map(({ policy }) => policy) ?? [found];
  const because = policies.flatMap((policy) => wideningReasons(policy, strict));
  return because.length === 0 ? { wider: false } : { wider: true, because: [...new Set(because)] };
}

function wideningReasons(found: CompiledPolicy, strict: CompiledPolicy): readonly string[] {
  return [
    ...(found.mode === 'report' && strict.mode === 'enforce' ? ['it only reports, and refuses nothing'] : []),
    ...droppedRequirements(found, strict),
    ...raisedLimits(found.limits, strict.limits),
    ...found.rules.filter(({ verb }) => verb === 'allow').flatMap((rule) => wideningsOf(rule, strict)),
    ...droppedDenials(found, strict),
    ...reportedDenials(found),
  ];
}

function droppedRequirements(found: CompiledPolicy, strict: CompiledPolicy): readonly string[] {
  const dropped = strict.requires.confinement === 'enforced' && found.requires.confinement !== 'enforced';
  return dropped ? ['it does not require enforced confinement'] : [];
}

/** What a policy does not say is the default, which a found policy may not raise either. */
function raisedLimits(found: PolicyLimits, strict: PolicyLimits): readonly string[] {
  const effective = (limits: PolicyLimits, { field }: LimitKey): number =>
    limits[field] ?? DEFAULT_LIMITS[field] ?? Number.POSITIVE_INFINITY;
  return LIMIT_KEYS.filter((key) => effective(found, key) > effective(strict, key)).map(
    ({ key }) => `its limit on ${key} is higher`,
  );
}

function wideningsOf(rule: Rule, strict: CompiledPolicy): readonly string[] {
  return rule.subjects.flatMap((subject) => {
    const text = formatSubject(subject);
    if (subject.kind === 'host-loopback')
      return ['it opens services on the loopback of this computer (host.sand)'];
    if (subject.kind === 'range') return [`it opens the addresses ${text}`];
    if (rule.addresses !== null) return [`it opens the addresses ${rule.addresses.join(', ')} for ${text}`];
    const beyond = PROTOCOLS.flatMap((protocol) => portsBeyond(rule, subject, protocol, strict));
    return beyond.length === 0 ? [] : [`it allows ${text} (${beyond.join(', ')})`];
  });
}

/** Ports of one protocol that no rule of `strict` grants to every name of the pattern. */
function portsBeyond(
  rule: Rule,
  subject: Extract<Subject, { readonly kind: 'names' }>,
  protocol: Protocol,
  strict: CompiledPolicy,
): readonly string[] {
  return rule.ports[protocol]
    .filter((wanted) => {
      const granting = strict.rules.some(
        (held) =>
          held.verb === 'allow' &&
          held.addresses === null &&
          held.untilMs === undefined &&
          held.limits === undefined &&
          held.methods === undefined &&
          held.paths === undefined &&
          held.subjects.some((one) => one.kind === 'names' && subsumes(one.pattern, subject.pattern)) &&
          [...held.ports[protocol], ...held.ports.tcp].some(
            (ports) => ports.from <= wanted.from && wanted.to <= ports.to,
          ),
      );
      return !granting;
    })
    .map((range) => `${protocol} ${formatPortRange(range)}`);
}

/** A deny rule that refuses nothing reads as one that does. */
function reportedDenials(found: CompiledPolicy): readonly string[] {
  return found.rules
    .filter(({ report }) => report === true)
    .flatMap(({ subjects }) =>
      subjects.map((subject) => `it only reports what it denies of ${formatSubject(subject)}`),
    );
}

function droppedDenials(found: CompiledPolicy, strict: CompiledPolicy): readonly string[] {
  const denials = (policy: CompiledPolicy): readonly Subject[] =>
    policy.rules
      .filter(({ verb, report }) => verb === 'deny' && report !== true)
      .flatMap(({ subjects }) => subjects);
  const kept = denials(found);
  return denials(strict)
    .filter((denied) => !kept.some((one) => coversSubject(one, denied)))
    .map((denied) => `it does not deny ${formatSubject(denied)}`);
}

function coversSubject(outer: Subject, inner: Subject): boolean {
  if (outer.kind === 'names' && inner.kind === 'names') return subsumes(outer.pattern, inner.pattern);
  if (outer.kind === 'range' && inner.kind === 'range') return rangeCovers(outer.range, inner.range);
  return outer.kind === 'host-loopback' && inner.kind === 'host-loopback';
}
