/** `sand inspect [GUEST]`: what a guest or run is, where it listens, and how it stands. */
import type { Environment } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { standingOf } from '../guests/standing.ts';
import { isAlive, readRunState } from '../run/run-state.ts';
import { chooseRun } from './run-choice.ts';

export interface InspectOptions {
  readonly run: string | undefined;
  readonly json: boolean;
  readonly env: Environment;
  readonly write: (text: string) => void;
}

/** Raises `run-missing`, `usage`. */
export async function inspectRun(options: InspectOptions): Promise<number> {
  const run = await chooseRun(options);
  const state = readRunState(run);
  if (state === null) {
    throw new SandError(
      'run-missing',
      `run ${run.id} never came up`,
      'see why in its log: sand audit, or list the runs with `sand audit ls`',
    );
  }
  const alive = isAlive(state);
  const shown = { ...state, standing: standingOf(state, alive), alive, log: run.auditPath };
  if (options.json) options.write(`${JSON.stringify(shown)}\n`);
  else
    for (const [key, value] of Object.entries(shown)) options.write(`${key.padEnd(12)} ${format(value)}\n`);
  return 0;
}

function format(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
