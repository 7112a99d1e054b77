/** What becomes of a run whose log, or what lies beside it, cannot be written: it ends, and says so once. */
import type { AuditEntry } from '../../audit/event.ts';
import type { AuditLog } from '../../audit/log.ts';
import type { RunPlace } from '../../audit/runs.ts';
import type { SandError } from '../errors.ts';
import { auditError } from './run-directory.ts';

/** The first failure of the log aborts `broken` with it. */
export function recordOrAbort(log: AuditLog, entry: AuditEntry, broken: AbortController): number {
  try {
    return log.record(entry);
  } catch (error) {
    broken.abort(error);
    throw error;
  }
}

/** Once the log has failed, so does every step that records: that is told once. */
export function withoutRepeats(
  teardown: readonly SandError[],
  error: SandError | null,
): readonly SandError[] {
  const first = [error, ...teardown].find((failure) => failure?.code === 'audit-unavailable');
  return teardown.filter((failure) => failure.code !== 'audit-unavailable' || failure === first);
}

/** What lies beside the log fails as the log does: raises `audit-unavailable` where the system refuses. */
export function writeBeside(run: RunPlace, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw error instanceof Error && 'syscall' in error ? auditError(error, run.directory) : error;
  }
}
