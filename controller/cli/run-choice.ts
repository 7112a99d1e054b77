/** Which run a person means: the last one, or the one whose name begins so. */
import { escapeTerminal } from '../../audit/escape.ts';
import { auditRoot, type Environment, findRun, type RunPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';

export interface RunChoice {
  readonly env: Environment;
  /** A run id or its beginning; without it, the last run. */
  readonly run?: string | undefined;
}

/** Raises `run-missing`, `usage`. */
export async function chooseRun(options: RunChoice): Promise<RunPlace> {
  const found = await findRun(auditRoot(options.env), options.run);
  const name = escapeTerminal(options.run ?? '');
  const hint = 'List the runs with `sand audit ls`.';
  switch (found.kind) {
    case 'found':
      return found.run;
    case 'missing':
      throw new SandError(
        'run-missing',
        name === '' ? 'there is no run yet' : `no run is named ${name}`,
        hint,
      );
    case 'malformed':
      throw new SandError('usage', `${name} is no run id nor the beginning of one`, hint);
    case 'ambiguous': {
      const message = `${name} is the beginning of several runs: ${found.ids.join(', ')}`;
      const details = { runs: found.ids };
      throw new SandError('run-missing', message, 'Write more of the run id.', { details });
    }
  }
}
