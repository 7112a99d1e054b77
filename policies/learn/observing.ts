/** A policy under which a run is watched: what no rule allows passes and is recorded, deny rules and ceilings hold. */
import { digestOf } from '../compile.ts';
import type { CompiledPolicy, PolicyInForce } from '../model.ts';

export function observing({ policy, ceilings }: PolicyInForce): PolicyInForce {
  const phases = policy.phases?.map((phase) => ({ ...phase, policy: reporting(phase.policy) }));
  return { policy: reporting({ ...policy, ...(phases === undefined ? {} : { phases }) }), ceilings };
}

/** Another mode is another policy, with a digest of its own. */
function reporting(policy: CompiledPolicy): CompiledPolicy {
  const watched: CompiledPolicy = { ...policy, mode: 'report' };
  return { ...watched, digest: digestOf(watched) };
}
