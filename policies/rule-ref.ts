/** How a verdict names the rule that decided. */
import type { Rule, RuleRef } from './model.ts';

/** The same rule whatever the order of the rules. */
export function firstById(rules: readonly Rule[]): Rule | null {
  return rules.reduce<Rule | null>(
    (first, rule) => (first === null || rule.id < first.id ? rule : first),
    null,
  );
}

export function refer(rule: Rule | null): RuleRef | null {
  return rule === null ? null : { id: rule.id, origin: rule.origin, because: rule.because };
}
