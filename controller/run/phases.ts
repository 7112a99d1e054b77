/**
 * Moves a guest into the next phase of its policy: on record first, then in force. Only the host gets here, by a
 * command that ended or by the control socket.
 */
import type { AuditEntry, PhaseStart } from '../../audit/event.ts';
import type { PolicyInForce } from '../../policies/model.ts';
import { SandError } from '../errors.ts';
import type { PhasePosition, PolicyCourse } from './policy-course.ts';

export interface MovedRun {
  readonly course: PolicyCourse;
  readonly record: (entry: AuditEntry) => number;
  /** Puts the policy of the phase in force. */
  readonly enforce: (next: PolicyInForce) => Promise<void>;
}

export type Mover = (by: PhaseStart['by']) => Promise<PhasePosition>;

/** The mover raises `phase-last`, and what the log and the link raise; where it was in force once, it stays. */
export function createMover({ course, record, enforce }: MovedRun): Mover {
  return async (by) => {
    const { next: phase } = course.position;
    const next = course.peek();
    if (next === null || phase === null) throw lastPhase(course.position);
    record({ kind: 'phase', phase, number: course.number + 1, policy: next.policy.digest, by });
    course.advance();
    // What the phase does not allow is ended before this gives way to anything else.
    await enforce(next);
    return course.position;
  };
}

function lastPhase({ phase }: PhasePosition): SandError {
  return new SandError(
    'phase-last',
    phase === null ? 'the policy of this guest has no phases' : `the guest is in its last phase, ${phase}`,
    'there is no way back: start another run for another phase',
  );
}
