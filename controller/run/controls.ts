/** What a run does for who asks at its control socket: its guest, phases, policy, questions that wait, and its end. */
import type { AuditEntry } from '../../audit/event.ts';
import { redactCommand } from '../../audit/redact.ts';
import type { AskBroker } from '../ask/broker.ts';
import type { GuestRef } from '../backends/backend.ts';
import type { ControlRequest } from '../control/protocol.ts';
import type { ControlHandler } from '../control/server.ts';
import { SandError } from '../errors.ts';
import type { Mover } from './phases.ts';
import type { PolicyCourse } from './policy-course.ts';

export interface ControlledRun {
  readonly backend: string;
  /** Resolves when commands can run in it. */
  readonly guest: () => Promise<GuestRef>;
  readonly course: PolicyCourse;
  readonly moveOn: Mover;
  /** Null where nobody is asked. */
  readonly broker: AskBroker | null;
  readonly record: (entry: AuditEntry) => number;
  readonly metricsText: () => string;
  readonly stop: (graceMs: number) => void;
  /** Gives the digest of what decides from then on. */
  readonly replacePolicy: (policies: readonly string[]) => Promise<string>;
}

/** What `guest` is answered with. */
export interface GuestAccess {
  readonly backend: string;
  readonly guest: GuestRef;
}

export function createControls(run: ControlledRun): ControlHandler {
  let execs = 0;
  return async (request: ControlRequest): Promise<unknown> => {
    const { course, moveOn, broker, record } = run;
    switch (request.do) {
      case 'phase':
        return course.position;
      case 'phase-next':
        return moveOn('control');
      case 'metrics':
        return run.metricsText();
      case 'questions':
        return requireBroker(broker).questions();
      case 'answer':
        return requireBroker(broker).answer(request.question, request.answer, 'control');
      case 'guest':
        return { backend: run.backend, guest: await run.guest() } satisfies GuestAccess;
      case 'exec':
        await run.guest();
        for (const probe of request.probes) record(probe);
        execs += 1;
        record({ kind: 'exec', exec: execs, command: redactCommand(request.command) });
        return { exec: execs };
      case 'exec-end': {
        const { exec, exitCode, durationMs } = request;
        record({ kind: 'exec-end', exec, exitCode, durationMs });
        return {};
      }
      case 'stop':
        run.stop(request.graceMs);
        return {};
      case 'policy':
        return { policy: await run.replacePolicy(request.policies) };
    }
  };
}

function requireBroker(broker: AskBroker | null): AskBroker {
  if (broker !== null) return broker;
  throw new SandError('question-missing', 'this run asks nobody', 'start it with `sand run --ask`');
}
