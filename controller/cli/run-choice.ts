/** Which run a person means: the last one, a guest's by its name, or the one whose id begins so. */
import { escapeTerminal } from '../../audit/escape.ts';
import { auditRoot, type Environment, findRun, type RunPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { parseGuestName } from '../guests/name.ts';
import { findGuest } from '../guests/registry.ts';

export interface RunChoice {
  readonly env: Environment;
  /** A run id or its beginning; without it, the last run. */
  readonly run?: string | undefined;
}

/** Raises `run-missing`, `usage`. */
export async function chooseRun(options: RunChoice): Promise<RunPlace> {
  const guest = options.run === undefined ? null : findGuest(auditRoot(options.env), options.run);
  if (guest !== null) return guest.run;
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
    case 'malformed': {
      if (parseGuestName(options.run ?? '').ok)
        throw new SandError('run-missing', `no guest is named ${name}`, 'List the guests with `sand ls`.');
      throw new SandError('usage', `${name} is no guest, no run id, nor the beginning of one`, hint);
    }
    case 'ambiguous': {
      const message = `${name} is the beginning of several runs: ${found.ids.join(', ')}`;
      const details = { runs: found.ids };
      throw new SandError('run-missing', message, 'Write more of the run id.', { details });
    }
  }
}
