/** Differences in what is of a whole policy, not of single hosts: the limits of a guest, what it requires, and what is mute. */
import { DEFAULT_LIMITS, LIMIT_KEYS, type LimitKey, leastOf } from '../guest-limits.ts';
import type { PolicyInForce, Rule } from '../model.ts';
import { confiningPolicy, type Isolation, isWeaker, requiredIsolation } from '../requirements.ts';
import { formatSubject } from '../subject.ts';
import type { ComparedRule, PolicyChange } from './difference.ts';

const NO_RULES = { phase: null, before: [], after: [] } as const;

export function compareTerms(before: PolicyInForce, after: PolicyInForce): readonly PolicyChange[] {
  return [...compareRequirements(before, after), ...compareLimits(before, after)];
}

/** Each witness meets whatever else either policy requires of a guest, so that one requirement alone decides. */
function compareRequirements(before: PolicyInForce, after: PolicyInForce): readonly PolicyChange[] {
  const [was, is] = [isolationOf(before), isolationOf(after)];
  const [looser, stricter] = isWeaker(was, is) ? [was, is] : [is, was];
  const aspect = 'requires';
  const confined = confiningPolicy(before) !== null;
  const changes: PolicyChange[] = [];
  if (confined !== (confiningPolicy(after) !== null)) {
    const text = `${confined ? 'does not require' : 'requires'} enforced confinement`;
    const witness = { kind: 'guest', confinement: 'cooperative', isolation: stricter } as const;
    const direction = confined ? 'widens' : 'narrows';
    changes.push({ direction, aspect, text, witness, ...NO_RULES });
  }
  if (looser !== stricter) {
    const text = `${was === stricter ? 'lowers' : 'raises'} the isolation that it requires from ${was} to ${is}`;
    const witness = { kind: 'guest', confinement: 'enforced', isolation: looser } as const;
    const direction = was === stricter ? 'widens' : 'narrows';
    changes.push({ direction, aspect, text, witness, ...NO_RULES });
  }
  return changes;
}

function isolationOf(inForce: PolicyInForce): Isolation {
  return requiredIsolation(inForce)?.isolation ?? 'namespaces';
}

function compareLimits(before: PolicyInForce, after: PolicyInForce): readonly PolicyChange[] {
  return LIMIT_KEYS.flatMap((key): readonly PolicyChange[] => {
    const [was, is] = [limitOf(before, key), limitOf(after, key)];
    if (was === is) return [];
    const [least, most] = [was ?? Number.POSITIVE_INFINITY, is ?? Number.POSITIVE_INFINITY];
    const direction = most > least ? 'widens' : 'narrows';
    const verb = most > least ? 'raises' : 'lowers';
    const text = `${verb} the limit on ${key.key} from ${formatAmount(was, key)} to ${formatAmount(is, key)}`;
    const amount = Math.min(least, most) + 1;
    const witness = { kind: 'use', limit: key.key, amount, authority: null } as const;
    return [{ direction, aspect: 'limit', text, witness, ...NO_RULES }];
  });
}

/** What the gateway holds a guest to: where a policy states nothing the default, and the least of all ceilings. */
function limitOf({ policy, ceilings }: PolicyInForce, { field }: LimitKey): number | null {
  const own = policy.limits[field] ?? DEFAULT_LIMITS[field];
  return leastOf([own, ...ceilings.map(({ limits }) => limits[field])]);
}

function formatAmount(value: number | null, { unit }: LimitKey): string {
  if (value === null) return 'none';
  return unit === 'time' ? `${value / 1_000}s` : String(value);
}

/** A mute rule decides nothing. */
export function compareMutes(before: PolicyInForce, after: PolicyInForce): readonly PolicyChange[] {
  const [was, is] = [mutesOf(before), mutesOf(after)];
  const told = (rules: ReadonlyMap<string, Rule>, others: ReadonlyMap<string, Rule>, verb: string) =>
    [...rules]
      .filter(([text]) => !others.has(text))
      .map(([text, rule]): PolicyChange => {
        const ref: readonly ComparedRule[] = [{ id: rule.id, origin: rule.origin }];
        const sides = rules === was ? { before: ref, after: [] } : { before: [], after: ref };
        const change = { direction: 'neutral', aspect: 'mute', witness: null, phase: null } as const;
        return { ...change, text: `${verb} ${text}`, ...sides };
      });
  return [...told(is, was, 'mutes'), ...told(was, is, 'no longer mutes')];
}

function mutesOf({ policy }: PolicyInForce): ReadonlyMap<string, Rule> {
  const mutes = policy.rules.filter(({ verb }) => verb === 'mute');
  return new Map(mutes.flatMap((rule) => rule.subjects.map((subject) => [formatSubject(subject), rule])));
}
