/**
 * The phases of a policy: their names in order, and what holds in each. When a guest goes from one to the next is
 * not decided here.
 */
import type { CompiledPolicy, PolicyInForce } from './model.ts';

/** In the order of the file; none where the policy has no phases. */
export function phaseNames({ phases }: CompiledPolicy): readonly string[] {
  return (phases ?? []).map(({ name }) => name);
}

/** What holds in the phase at `index`: a policy without phases is its own first. Null where there is none. */
export function policyOfPhase(policy: CompiledPolicy, index: number): CompiledPolicy | null {
  if (policy.phases !== undefined) return policy.phases[index]?.policy ?? null;
  return index === 0 ? policy : null;
}

/** What decides in the phase at `index`; ceilings hold in every phase. Null where there is no such phase. */
export function inPhase({ policy, ceilings }: PolicyInForce, index: number): PolicyInForce | null {
  const own = policyOfPhase(policy, index);
  return own === null ? null : { policy: own, ceilings };
}
