/**
 * What a policy may require of the guest that it is for: the words, which of several holds, and who requires most. Whether
 * a guest offers it is for who starts guests.
 */
import type { CompiledPolicy, PolicyInForce, Requirements } from './model.ts';

/** What stands between a guest and the host's kernel, from the weakest, which every guest has, to the strongest. */
export const ISOLATIONS = ['namespaces', 'gvisor', 'vm'] as const;
export type Isolation = (typeof ISOLATIONS)[number];

/** As written in a policy, in canonical order. */
export const REQUIREMENT_KEYS = ['confinement', 'isolation'] as const;
export type RequirementKey = (typeof REQUIREMENT_KEYS)[number];

export function isWeaker(isolation: Isolation, than: Isolation): boolean {
  return ISOLATIONS.indexOf(isolation) < ISOLATIONS.indexOf(than);
}

export function strictestRequirements(all: readonly Requirements[]): Requirements {
  return {
    confinement: all.some(({ confinement }) => confinement === 'enforced') ? 'enforced' : null,
    isolation: ISOLATIONS.findLast((one) => all.some(({ isolation }) => isolation === one)) ?? null,
  };
}

/** What is stated, as it is written canonically; `{}` where nothing is. */
export function formatRequirements(requires: Requirements): string {
  const entries = REQUIREMENT_KEYS.flatMap((key) =>
    requires[key] === null ? [] : [`${key}: ${requires[key]}`],
  );
  return `{${entries.join(', ')}}`;
}

/** The first, policy before ceilings, of those that require enforced confinement; null where none does. */
export function confiningPolicy({ policy, ceilings }: PolicyInForce): CompiledPolicy | null {
  return [policy, ...ceilings].find(({ requires }) => requires.confinement === 'enforced') ?? null;
}

/** The least that a guest must have, and who requires it: the policy or a ceiling. Null where nobody says. */
export function requiredIsolation({
  policy,
  ceilings,
}: PolicyInForce): { readonly isolation: Isolation; readonly by: CompiledPolicy } | null {
  const all = [policy, ...ceilings];
  const { isolation } = strictestRequirements(all.map(({ requires }) => requires));
  const by = all.find(({ requires }) => requires.isolation === isolation);
  return isolation === null || by === undefined ? null : { isolation, by };
}
