/** `sand metrics [GUEST]`: asks the supervisor of a guest for its counters, and prints them. */
import type { Environment } from '../../audit/runs.ts';
import { askControl } from '../control/client.ts';
import { controlFailed } from '../control/failure.ts';
import { chooseRun } from './run-choice.ts';

export interface MetricsOptions {
  readonly run: string | undefined;
  readonly env: Environment;
  readonly write: (text: string) => void;
}

/** Raises `run-missing`, `control-missing` where it has ended, `control-failed`. */
export async function printMetrics(options: MetricsOptions): Promise<number> {
  const run = await chooseRun(options);
  const value = await askControl(run, { do: 'metrics' });
  if (typeof value !== 'string') throw controlFailed(`run ${run.id} did not answer`, new Error('no text'));
  options.write(value);
  return 0;
}
