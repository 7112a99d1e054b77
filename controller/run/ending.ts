/** How a run ended, as its exit code, its cause and its error. Pure. */
import type { RunEnd } from '../../audit/event.ts';
import { AuditUnavailable } from '../../audit/unavailable.ts';
import { ERROR_CODES, SandError } from '../errors.ts';

export interface Ending {
  readonly exitCode: number;
  readonly cause: RunEnd['cause'];
  /** What went wrong in sand, if anything; the command's own failure is an exit code. */
  readonly error: SandError | null;
}

export function endingOf(code: number, cause: RunEnd['cause'], reason: unknown): Ending {
  switch (cause) {
    case 'timeout':
      return { exitCode: 124, cause, error: null };
    case 'signal':
      return { exitCode: 128 + signalNumber(reason), cause, error: null };
    case 'error':
    case 'probe': {
      const error = toSandError(reason);
      return {
        exitCode: ERROR_CODES[error.code].exit,
        cause: error.code === 'probe-failed' ? 'probe' : 'error',
        error,
      };
    }
    case 'stop':
      return { exitCode: code, cause, error: null };
    case 'exit':
      return { exitCode: code, cause: code > 128 && code < 160 ? 'signal' : 'exit', error: null };
  }
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 };

function signalNumber(reason: unknown): number {
  return SIGNAL_NUMBERS[String(reason)] ?? 15;
}

export function toSandError(error: unknown): SandError {
  if (error instanceof SandError) return error;
  if (error instanceof AuditUnavailable) {
    const hint = 'nothing is allowed without a log: free space or mend the folder, then run again';
    return new SandError('audit-unavailable', error.message, hint, { cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new SandError('internal', message, 'report this as a fault of sand, with --verbose output', {
    cause: error,
  });
}
