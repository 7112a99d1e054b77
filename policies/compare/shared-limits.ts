/**
 * Differences in who shares the limit of a rule: two hosts under one limit may use less together than under one each.
 * How high a limit is, of one host alone, is found with the requests.
 */
import { evaluate } from '../evaluate.ts';
import { RULE_LIMIT_FIELDS } from '../guest-limits.ts';
import { parseAuthority } from '../hostname.ts';
import type { Authority, PolicyInForce, Rule, RuleLimits } from '../model.ts';
import { PROTOCOLS } from '../port-range.ts';
import type { Direction, UseWitness } from './difference.ts';
import { limitKey } from './request-comparison.ts';
import type { Sides, Statement, SubjectChange } from './sides.ts';
import { textsOfRule, wordSharing } from './wording.ts';

export interface SharingChange {
  readonly change: SubjectChange;
  readonly direction: Exclude<Direction, 'neutral'>;
  readonly text: string;
  readonly witness: UseWitness;
}

/** At most one for each direction of each change; only with hosts that both policies allow. */
export function sharingChanges(sides: Sides, change: SubjectChange): readonly SharingChange[] {
  if (change.verb !== 'allow') return [];
  return (['widens', 'narrows'] as const).flatMap((direction): readonly SharingChange[] => {
    const [mine, other] =
      direction === 'widens' ? [change.removed, change.after] : [change.added, change.before];
    for (const { rule } of mine) {
      const lost = lostSharing(sides, change.text, rule, other);
      if (lost !== null) return [{ change, direction, ...describe(change.text, lost, direction) }];
    }
    return [];
  });
}

interface LostSharing {
  readonly field: keyof RuleLimits;
  readonly amount: number;
  readonly authority: Authority;
  readonly others: readonly string[];
}

function describe(text: string, { field, amount, authority, others }: LostSharing, direction: Direction) {
  const limit = limitKey(field);
  const witness: UseWitness = { kind: 'use', limit, amount: amount + 1, authority };
  return { text: wordSharing(text, others, limit, direction), witness };
}

/** A limit of the rule that no rule of the other side holds the subject and all its fellows to. */
function lostSharing(
  { before, after, nowMs }: Sides,
  text: string,
  rule: Rule,
  statements: readonly Statement[],
): LostSharing | null {
  const both = [before.inForce, after.inForce];
  const authority = openAuthority(text, rule, both, nowMs);
  if (authority === null) return null;
  for (const field of RULE_LIMIT_FIELDS) {
    const amount = rule.limits?.[field];
    if (amount === undefined || amount === null) continue;
    const limited = statements.filter(
      ({ rule: one }) => (one.limits?.[field] ?? Number.POSITIVE_INFINITY) <= amount,
    );
    const fellows = textsOfRule(rule).filter(
      (one) => one !== text && openAuthority(one, rule, both, nowMs) !== null,
    );
    const isKept = limited.some(({ rule: one }) =>
      fellows.every((fellow) => textsOfRule(one).includes(fellow)),
    );
    const isLone = limited.length === 0 || fellows.length === 0;
    if (!isKept && !isLone) return { field, amount, authority, others: fellows };
  }
  return null;
}

/** A host of the subject, on a port of the rule, that all of them allow. */
function openAuthority(
  text: string,
  { ports }: Rule,
  policies: readonly PolicyInForce[],
  nowMs: number,
): Authority | null {
  const host = text
    .replace('**', 'x')
    .replaceAll('*', 'x')
    .replace(/\/\d+$/, '');
  for (const protocol of PROTOCOLS) {
    const [range] = ports[protocol];
    if (range === undefined) continue;
    const read = parseAuthority(`${host.includes(':') ? `[${host}]` : host}:${range.from}`, null);
    if (!read.ok) continue;
    const request = { authority: read.value, protocol };
    if (policies.every((one) => evaluate(one, request, nowMs).decision === 'allow')) return read.value;
  }
  return null;
}
