/**
 * Where a run stands in its policy: the whole of it as it was read last, and the phase that the guest is in. A
 * guest only ever goes forward; who may move it on, and what a move does, is not decided here.
 */
import type { PolicyInForce } from '../../policies/model.ts';
import { inPhase, phaseNames } from '../../policies/phase.ts';
import type { PolicyReread } from './policy-choice.ts';

export interface PhasePosition {
  /** In order; none where the policy has no phases. */
  readonly phases: readonly string[];
  /** Null where the policy has no phases. */
  readonly phase: string | null;
  /** Null in the last phase. */
  readonly next: string | null;
}

export class PolicyCourse {
  #whole: PolicyInForce;
  #index = 0;
  #inForce: PolicyInForce;

  constructor(whole: PolicyInForce) {
    this.#whole = whole;
    this.#inForce = requirePhase(whole, 0);
  }

  /** What decides now. */
  get inForce(): PolicyInForce {
    return this.#inForce;
  }

  /** From 1. */
  get number(): number {
    return this.#index + 1;
  }

  get position(): PhasePosition {
    const phases = phaseNames(this.#whole.policy);
    return { phases, phase: phases[this.#index] ?? null, next: phases[this.#index + 1] ?? null };
  }

  /** What would decide in the next phase; null in the last. */
  peek(): PolicyInForce | null {
    return inPhase(this.#whole, this.#index + 1);
  }

  /** Into the next phase; false in the last, where nothing changes. */
  advance(): boolean {
    const next = this.peek();
    if (next === null) return false;
    this.#index += 1;
    this.#inForce = next;
    return true;
  }

  /** A policy that was read again holds from the phase that the guest is in. Gives what now decides, or why it stays. */
  reload(reread: PolicyReread): PolicyReread {
    if (!reread.ok) return reread;
    const begun = (names: readonly string[]) => names.slice(0, this.number).join(', ');
    const before = begun(phaseNames(this.#whole.policy));
    const after = begun(phaseNames(reread.inForce.policy));
    // Fail closed: where the phases so far are other ones, the guest's phase means something else, perhaps an earlier one.
    if (before !== after) {
      const problem = `its phases so far are ${after === '' ? 'none' : after}, and this guest came by ${before === '' ? 'none' : before}`;
      return { ok: false, problem };
    }
    const inForce = requirePhase(reread.inForce, this.#index);
    this.#whole = reread.inForce;
    this.#inForce = inForce;
    return { ok: true, inForce };
  }
}

function requirePhase(whole: PolicyInForce, index: number): PolicyInForce {
  const inForce = inPhase(whole, index);
  if (inForce === null) throw new RangeError('no such phase');
  return inForce;
}
