/**
 * The limits of single rules: what all that one rule covers may use together, over the guest's life. Counts and
 * answers; what is refused or ended is said by the ledger.
 */
import type { Rule, RuleRef, Verdict } from '../policies/model.ts';
import { refer } from '../policies/rule-ref.ts';

/** What one rule with limits has used. */
export interface Budget {
  /** As the policy of the last question had it; what was used stays when a reload changes its numbers. */
  rule: Rule;
  connections: number;
  bytesOut: number;
  bytesIn: number;
}

/** The rules that a connection counts for: those of the policy that grant it, and of each ceiling. */
export type GrantLayers = readonly (readonly Rule[])[];

export function grantLayers({ grants, ceilingGrants }: Verdict): GrantLayers {
  return [grants, ...(ceilingGrants ?? [])];
}

/** State of one guest. As many budgets as rules with limits were ever in force: people write those. */
export class Budgets {
  readonly #budgets = new Map<string, Budget>();

  /** A limit that is written holds, however many other rules cover the same: every rule with limits counts. */
  of(layers: GrantLayers): readonly Budget[] {
    return layers.flatMap((grants, layer) =>
      grants.filter(({ limits }) => limits !== undefined).map((rule) => this.#budget(layer, rule)),
    );
  }

  #budget(layer: number, rule: Rule): Budget {
    const key = `${layer} ${rule.id}`;
    const known = this.#budgets.get(key);
    if (known !== undefined) {
      known.rule = rule;
      return known;
    }
    const budget: Budget = { rule, connections: 0, bytesOut: 0, bytesIn: 0 };
    this.#budgets.set(key, budget);
    return budget;
  }
}

/** Why one more connection does not fit: the rule whose limit is reached. */
export function findSpent(
  budgets: readonly Budget[],
): { readonly reason: 'limit-connections' | 'limit-bytes'; readonly rule: RuleRef | null } | null {
  for (const { rule, connections, bytesOut, bytesIn } of budgets) {
    const { limits } = rule;
    if (connections >= (limits?.connections ?? Number.POSITIVE_INFINITY))
      return { reason: 'limit-connections', rule: refer(rule) };
    const isSpent =
      bytesOut >= (limits?.bytesOut ?? Number.POSITIVE_INFINITY) ||
      bytesIn >= (limits?.bytesIn ?? Number.POSITIVE_INFINITY);
    if (isSpent) return { reason: 'limit-bytes', rule: refer(rule) };
  }
  return null;
}

/** Whether so many more bytes stay within every one of them. */
export function holdsBytes(budgets: readonly Budget[], bytesOut: number, bytesIn: number): boolean {
  return budgets.every(
    (budget) =>
      budget.bytesOut + bytesOut <= (budget.rule.limits?.bytesOut ?? Number.POSITIVE_INFINITY) &&
      budget.bytesIn + bytesIn <= (budget.rule.limits?.bytesIn ?? Number.POSITIVE_INFINITY),
  );
}
