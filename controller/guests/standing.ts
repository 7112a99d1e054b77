/** How a guest stands, by what its run wrote of itself and whether its supervisor lives. */
import type { RunState } from '../run/run-state.ts';

/**
 * `broken`: its supervisor is gone without an end, so it has no network and nothing runs in it; `sand prune` removes
 * what is left.
 */
export type Standing = 'starting' | 'running' | 'ended' | 'broken';

/** `state` null: its run wrote nothing yet, or was killed before. Pure. */
export function standingOf(state: RunState | null, isAlive: boolean): Standing {
  if (state?.end !== undefined) return 'ended';
  if (state === null || !isAlive) return 'broken';
  return state.status;
}
