/** What a run does for who asks at its control socket: phases, and the questions that wait. */
import type { AskBroker } from '../ask/broker.ts';
import type { ControlRequest } from '../control/protocol.ts';
import type { ControlHandler } from '../control/server.ts';
import { SandError } from '../errors.ts';
import type { Mover } from './phases.ts';
import type { PolicyCourse } from './policy-course.ts';

export interface ControlledRun {
  readonly course: PolicyCourse;
  readonly moveOn: Mover;
  /** Null where nobody is asked. */
  readonly broker: AskBroker | null;
}

/** Null where there is nothing to control: then there is no socket. */
export function planControls(run: ControlledRun): ControlHandler | null {
  const { course, broker } = run;
  if (course.position.phases.length <= 1 && broker === null) return null;
  return (request) => handle(run, request);
}

async function handle({ course, moveOn, broker }: ControlledRun, request: ControlRequest): Promise<unknown> {
  switch (request.do) {
    case 'phase':
      return course.position;
    case 'phase-next':
      return moveOn('control');
    case 'questions':
      return requireBroker(broker).questions();
    case 'answer':
      return requireBroker(broker).answer(request.question, request.answer, 'control');
  }
}

function requireBroker(broker: AskBroker | null): AskBroker {
  if (broker !== null) return broker;
  throw new SandError('question-missing', 'this run asks nobody', 'start it with `sand run --ask`');
}
