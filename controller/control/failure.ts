/** The error of a control socket that could not be made or did not answer. */
import { SandError } from '../errors.ts';

export function controlFailed(what: string, cause: unknown): SandError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SandError('control-failed', `${what}: ${why}`, 'see `sand inspect` for the state of the run', {
    cause,
  });
}
