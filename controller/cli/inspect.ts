/** `sand inspect [RUN]`: what a run is, where it listens, and whether it still lives. */
import { auditRoot, type Environment, findRun } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { isAlive, readRunState } from '../run/run-state.ts';

export interface InspectOptions {
  readonly run: string | undefined;
  readonly json: boolean;
  readonly env: Environment;
  readonly write: (text: string) => void;
}

export async function inspectRun(options: InspectOptions): Promise<number> {
  const found = await findRun(auditRoot(options.env), options.run);
  const state = found.kind === 'found' ? readRunState(found.run) : null;
  if (found.kind !== 'found' || state === null) {
    throw new SandError(
      'run-missing',
      `no run ${options.run ?? 'yet'}, or it never came up`,
      'list the runs with `sand audit ls`',
    );
  }
  const shown = { ...state, alive: isAlive(state), log: found.run.auditPath };
  if (options.json) options.write(`${JSON.stringify(shown)}\n`);
  else
    for (const [key, value] of Object.entries(shown)) options.write(`${key.padEnd(12)} ${format(value)}\n`);
  return 0;
}

function format(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
