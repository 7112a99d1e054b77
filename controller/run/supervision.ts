/**
 * A guest that has started, for as long as it lives: its state is told, its policy followed, and people on the host reach
 * it. Starting and ending it is the session's.
 */
import type { PolicyInForce } from '../../policies/model.ts';
import type { AskBroker } from '../ask/broker.ts';
import type { GuestRef, StartedGuest } from '../backends/backend.ts';
import { createControlServer } from '../control/server.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { createControls } from './controls.ts';
import { writeBeside } from './log-failure.ts';
import { createMover, type Mover } from './phases.ts';
import { followPolicy } from './policy-following.ts';
import type { Session, SessionRequest } from './session-request.ts';

export interface SupervisedGuest extends Session {
  readonly started: GuestRef & StartedGuest;
  readonly gateway: Gateway;
  readonly broker: AskBroker | null;
  /** Gets what undoes each step. */
  readonly undo: (() => Promise<void>)[];
  readonly stop: (graceMs: number) => void;
  /** What is left to whatever runs in the guest when it is ended. */
  readonly graceMs: () => number;
}

/** A guest has started: from here on its state is told, its policy follows its file, and people reach the run. */
export async function superviseGuest(
  request: SessionRequest,
  supervised: SupervisedGuest,
): Promise<{ readonly moveOn: Mover; readonly enforce: (next: PolicyInForce) => Promise<void> }> {
  const { backend } = request;
  const { guest, started, gateway, course, broker, record, undo, state } = supervised;
  const { name, handle } = started;
  const details = (await backend.inspect(started)).details;
  const tellState = () => writeBeside(guest.run, () => state.up(gateway, details));
  tellState();
  const enforce = async (next: PolicyInForce) => {
    await gateway.replacePolicy(next);
    broker?.policyChanged();
    tellState();
  };
  const begin = async (next: PolicyInForce) => {
    broker?.forget();
    await enforce(next);
  };
  const moveOn = createMover({ course, enforce: begin, record });
  undo.push(async () => {
    for (const { code, detail } of await backend.stop(started, supervised.graceMs()))
      record({ kind: 'notice', code, detail });
  });
  const followed = followPolicy(request, { guest, course, record, enforce });
  undo.push(asyncly(followed.close));
  const controls = createControls({
    backend: backend.name,
    guest: async () => {
      await started.confined;
      return { name, handle };
    },
    course,
    moveOn,
    broker,
    record,
    metricsText: supervised.observers.metricsText,
    stop: supervised.stop,
    replacePolicy: followed.replace,
  });
  const control = await createControlServer(guest.run.directory, controls);
  undo.push(() => control.close());
  if (broker !== null) {
    undo.push(asyncly(() => broker.close()));
    undo.push(asyncly(request.ask?.front(broker, guest.run) ?? (() => {})));
  }
  return { moveOn, enforce };
}

export function asyncly(step: () => void): () => Promise<void> {
  return async () => step();
}
