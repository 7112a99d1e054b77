/**
 * Moves a guest into the next phase of its policy: on record first, then in force. Only the host gets here, by a
 * command that ended or by the control socket.
 */
import type { AuditEntry, PhaseStart } from '../../audit/event.ts';
import type { ControlRequest } from '../control/protocol.ts';
import { SandError } from '../errors.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { PhasePosition, PolicyCourse } from './policy-course.ts';

export interface MovedRun {
  readonly course: PolicyCourse;
  readonly gateway: Pick<Gateway, 'replacePolicy'>;
  readonly record: (entry: AuditEntry) => number;
  /** Called when the next phase is in force. */
  readonly moved: () => void;
}

export type Mover = (by: PhaseStart['by']) => Promise<PhasePosition>;

/** The mover raises `phase-last`, and what the log and the link raise; where it was in force once, it stays. */
export function createMover({ course, gateway, record, moved }: MovedRun): Mover {
  return async (by) => {
    const { next: phase } = course.position;
    const next = course.peek();
    if (next === null || phase === null) throw lastPhase(course.position);
    record({ kind: 'phase', phase, number: course.number + 1, policy: next.policy.digest, by });
    course.advance();
    // What the phase does not allow is ended before this gives way to anything else.
    await gateway.replacePolicy(next);
    moved();
    return course.position;
  };
}

/** What `sand phase` asks of a run. */
export async function answerPhase(
  request: ControlRequest,
  course: PolicyCourse,
  moveOn: Mover,
): Promise<PhasePosition> {
  return request.do === 'phase' ? course.position : moveOn('control');
}

function lastPhase({ phase }: PhasePosition): SandError {
  return new SandError(
    'phase-last',
    phase === null ? 'the policy of this guest has no phases' : `the guest is in its last phase, ${phase}`,
    'there is no way back: start another run for another phase',
  );
}
