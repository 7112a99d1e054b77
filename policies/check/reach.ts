/**
 * Rules that do nothing: those that a deny rule covers whole, those that another rule says already, and those that a
 * ceiling never lets through. Conservative: what is told is so, and what is not told may be so too.
 */
import { rangeCovers } from '../address.ts';
import type { CompiledPolicy, IpRange, Origin, Rule, Subject } from '../model.ts';
import { literalTail, patternShape } from '../pattern.ts';
import type { RuleIndex } from '../rule-index.ts';
import { rulesForHost } from '../rule-index.ts';
import { indexOf } from '../rule-judgement.ts';
import { formatSubject } from '../subject.ts';
import { candidates, coversSubject, grantsAsMuch } from './coverage.ts';
import { type PolicyFinding, warn } from './finding.ts';
import { CHECK_LIMITS } from './limits.ts';

/** A budget of comparisons; once it is spent, nothing more is told. */
interface Budget {
  left: number;
}

/** In the order of the rules; each finding belongs to the rule whose id it is filed under. */
export function idleRules(
  policy: CompiledPolicy,
  ceilings: readonly CompiledPolicy[],
  isOwn: (rule: Rule) => boolean,
): { readonly findings: ReadonlyMap<string, PolicyFinding>; readonly isWhole: boolean } {
  const index = indexOf(policy);
  const order = new Map(policy.rules.map((rule, at) => [rule, at]));
  const budget: Budget = { left: CHECK_LIMITS.comparisons };
  const findings = new Map<string, PolicyFinding>();
  for (const rule of policy.rules.filter(isOwn)) {
    for (const subject of rule.subjects) {
      if (budget.left <= 0) return { findings, isWhole: false };
      const finding =
        shadowing(index, rule, subject, budget) ??
        repetition(index, rule, subject, order, budget) ??
        beyondCeilings(ceilings, rule, subject);
      if (finding !== null) findings.set(`${rule.id} ${formatSubject(subject)} ${finding.code}`, finding);
    }
  }
  return { findings, isWhole: true };
}

function spend(rules: readonly Rule[], budget: Budget): readonly Rule[] {
  const some = rules.slice(0, Math.max(0, budget.left));
  budget.left -= rules.length + 1;
  return some;
}

function shadowing(index: RuleIndex, rule: Rule, subject: Subject, budget: Budget): PolicyFinding | null {
  if (rule.verb !== 'allow') return null;
  const text = formatSubject(subject);
  const refuses = (denial: Rule): boolean => denial.report !== true;
  const denial = spend(candidates(index.deny, subject), budget)
    .filter(refuses)
    .find(({ subjects }) => subjects.some((outer) => coversSubject(outer, subject)));
  if (denial !== undefined) {
    return warn(
      'shadowed-rule',
      rule.origin,
      `${text} is never allowed: ${denial.id} (${place(denial.origin)}) denies all of it, and deny beats allow`,
      'Remove this rule, or narrow the deny rule.',
    );
  }
  const denied = rule.addresses === null ? null : coveringDenials(index, rule.addresses, budget);
  if (denied === null) return null;
  return warn(
    'shadowed-rule',
    rule.origin,
    `${text} can never be connected to: ${denied.id} (${place(denied.origin)}) denies all of its addresses`,
    'Remove this rule, or narrow the deny rule.',
  );
}

/** One of the deny rules where they cover every range; null where some address is left. */
function coveringDenials(index: RuleIndex, ranges: readonly IpRange[], budget: Budget): Rule | null {
  const found = ranges.map((range) =>
    spend(candidates(index.deny, { kind: 'range', range }), budget).find(
      ({ report, subjects }) =>
        report !== true &&
        subjects.some((outer) => outer.kind === 'range' && rangeCovers(outer.range, range)),
    ),
  );
  return found.every((rule) => rule !== undefined) ? (found[0] ?? null) : null;
}

/** Of two rules that say the same, the later one is told, or the one of the user's own. */
function repetition(
  index: RuleIndex,
  rule: Rule,
  subject: Subject,
  order: ReadonlyMap<Rule, number>,
  budget: Budget,
): PolicyFinding | null {
  const says = (outer: Rule, inner: Rule): boolean => {
    if (inner.verb === 'allow') return grantsAsMuch(outer, inner);
    return outer.report !== true || inner.report === true;
  };
  const repeats = (other: Rule): boolean =>
    other.subjects.some((outer) => {
      if (outer === subject || !coversSubject(outer, subject)) return false;
      if (!says(other, rule)) return false;
      const isMutual = coversSubject(subject, outer) && says(rule, other);
      if (!isMutual) return true;
      return other !== rule && (order.get(other) ?? 0) < (order.get(rule) ?? 0);
    });
  const other = spend(candidates(index[rule.verb], subject), budget).find(repeats);
  if (other === undefined) return null;
  const text = formatSubject(subject);
  const where = other === rule ? 'another part of this rule' : `${other.id} (${place(other.origin)})`;
  const said = { allow: 'allowed', deny: 'denied', mute: 'muted' }[rule.verb];
  return warn(
    'redundant-rule',
    rule.origin,
    `${text} is ${said} by ${where} already`,
    rule.subjects.length === 1 ? 'Remove this rule.' : `Remove ${text} from this rule.`,
  );
}

/** Told of single names and of names below a name that no ceiling has a rule for. */
function beyondCeilings(
  ceilings: readonly CompiledPolicy[],
  rule: Rule,
  subject: Subject,
): PolicyFinding | null {
  if (rule.verb !== 'allow' || subject.kind !== 'names') return null;
  const ceiling = ceilings.find((one) => !mayAllow(one, subject));
  if (ceiling === undefined) return null;
  return warn(
    'outside-ceiling',
    rule.origin,
    `${subject.pattern.text} is never allowed: no rule of the ceiling ${ceiling.name} covers any of it`,
    'Remove this rule, or ask the owner of this machine.',
  );
}

/** True where it cannot tell. */
function mayAllow(
  ceiling: CompiledPolicy,
  { pattern }: Extract<Subject, { readonly kind: 'names' }>,
): boolean {
  const { allow } = indexOf(ceiling);
  if (patternShape(pattern) === 'exact') {
    const host = { kind: 'name', name: pattern.text as Parameters<typeof pattern.matches>[0] } as const;
    return rulesForHost(allow, host).length > 0;
  }
  const tail = literalTail(pattern);
  return ceiling.rules.some(
    ({ verb, subjects }) =>
      verb === 'allow' &&
      subjects.some((one) => one.kind === 'names' && areRelated(literalTail(one.pattern), tail)),
  );
}

function areRelated(a: string, b: string): boolean {
  return a === b || a.endsWith(`.${b}`) || b.endsWith(`.${a}`);
}

function place({ file, line }: Origin): string {
  return line === 0 ? file : `${file}:${line}`;
}
