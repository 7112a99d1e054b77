/** What is left to do once a rule is written: whether the guest goes by it already, and the command that makes it so. */
import type { RunStart } from '../../audit/event.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { waitUntil } from '../cli/waiting.ts';
import type { ChangePlan } from '../policy-file/change-plan.ts';
import { FOUND_NAME } from '../run/policy-choice.ts';
import type { RunState } from '../run/run-state.ts';
import { UI_LIMITS } from './limits.ts';
import { SHIPPED } from './rule-place.ts';
import { stateOf } from './run-list.ts';

/** Whether the guest goes by another policy than `before` within `UI_LIMITS.reloadMs`. */
export async function waitForReload(run: RunPlace, before: string): Promise<boolean> {
  return waitUntil(() => stateOf(run)?.policy !== before, UI_LIMITS.reloadMs);
}

export interface NextStep {
  readonly next: string;
  /** What to type; null: there is nothing left to do. */
  readonly command: string | null;
}

/** `state`: of a run that lives; null: it has ended. Pure. */
export function adviceAfter(written: {
  readonly plan: Pick<ChangePlan, 'file'>;
  readonly start: Pick<RunStart, 'policy'> | null;
  readonly state: Pick<RunState, 'name'> | null;
  readonly inForce: boolean;
}): NextStep {
  const { plan, start, state, inForce } = written;
  if (state === null) {
    const named = plan.file === FOUND_NAME ? '' : ` --policy ${quote(plan.file)}`;
    return { next: 'The next run goes by it:', command: `sand run${named} -- COMMAND` };
  }
  if (inForce) return { next: `${state.name} goes by it now.`, command: null };
  const others = (start?.policy.layers ?? []).filter((layer) => SHIPPED.test(layer));
  const policies = [...others, plan.file].map(quote).join(' ');
  return {
    next: `${state.name} goes on as before. To have it go by this:`,
    command: `sand policy set ${state.name} ${policies}`,
  };
}

/** As a shell reads it. */
function quote(text: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
