/** Which phase of one policy is compared with which of the other. */
import type { CompiledPolicy } from '../model.ts';
import { phaseNames } from '../phase.ts';

export interface PhasePair {
  /** Null where neither has phases. */
  readonly name: string | null;
  readonly before: CompiledPolicy;
  readonly after: CompiledPolicy;
}

/**
 * By name; by place where the names that both have stand in another order, since a guest goes through them in order. A
 * phase that one side lacks is compared with what that side allows in every phase; a policy without phases holds
 * in each.
 */
export function phasePairs(before: CompiledPolicy, after: CompiledPolicy): readonly PhasePair[] {
  const was = phaseNames(before);
  const is = phaseNames(after);
  if (was.length === 0 && is.length === 0) return [{ name: null, before, after }];
  const common = was.filter((name) => is.includes(name));
  const isMoved = common.join('\n') !== is.filter((name) => was.includes(name)).join('\n');
  if (isMoved) {
    return Array.from({ length: Math.max(was.length, is.length) }, (_, at) => ({
      name: is[at] ?? was[at] ?? null,
      before: before.phases?.[at]?.policy ?? before,
      after: after.phases?.[at]?.policy ?? after,
    }));
  }
  return [...new Set([...is, ...was])].map((name) => ({
    name,
    before: phaseOf(before, name),
    after: phaseOf(after, name),
  }));
}

function phaseOf(policy: CompiledPolicy, name: string): CompiledPolicy {
  return policy.phases?.find((phase) => phase.name === name)?.policy ?? policy;
}
