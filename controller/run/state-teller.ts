/** Writes what a run is to its state file, as it comes up, lives and ends. What the file holds is `run-state.ts`'s. */
import { redactCommand } from '../../audit/redact.ts';
import type { Inspection } from '../backends/backend.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { GuestRecord } from '../guests/registry.ts';
import type { Ending } from './ending.ts';
import type { PolicyCourse } from './policy-course.ts';
import { imageFact, isolationOf } from './run-facts.ts';
import { type RunState, writeRunState } from './run-state.ts';
import type { SessionRequest } from './session-request.ts';

export interface StateTeller {
  /** Before anything is made. */
  begun(): void;
  /** The guest is there; called again when its policy has changed. */
  up(gateway: Pick<Gateway, 'dnsPort' | 'published'>, guest: Inspection['details']): void;
  /** Commands can run. */
  running(): void;
  ended(ending: Ending): void;
}

type Told = Omit<RunState, 'run' | 'pid' | 'pidStart'>;

export function createStateTeller(
  request: SessionRequest,
  { name, run }: GuestRecord,
  course: PolicyCourse,
): StateTeller {
  const { backend, mounts, workdir, policyFile } = request;
  const { confinement } = backend.capabilities;
  const fixed = {
    name,
    startedAt: new Date().toISOString(),
    command: redactCommand(request.command),
    detached: request.ready !== null,
    backend: backend.name,
    isolation: isolationOf(request),
    confinement,
    ...imageFact(request),
    mounts,
    workdir,
    ...(policyFile === undefined ? {} : { policyFile }),
  };
  let changing: Pick<Told, 'status' | 'dnsPort' | 'ports' | 'guest' | 'end'> = {
    status: 'starting',
    dnsPort: 0,
    guest: {},
  };
  const tell = (change: Partial<typeof changing>) => {
    changing = { ...changing, ...change };
    const { phase, phases } = course.position;
    const policy = course.inForce.policy.digest;
    writeRunState(run, { ...fixed, ...changing, policy, ...(phase === null ? {} : { phase, phases }) });
  };
  return {
    begun: () => tell({}),
    up: ({ dnsPort, published }, guest) =>
      tell({ dnsPort, guest, ...(published.length === 0 ? {} : { ports: published }) }),
    running: () => tell({ status: 'running' }),
    ended: ({ exitCode, cause, error }) => {
      const at = new Date().toISOString();
      tell({ end: { exitCode, cause, at, ...(error === null ? {} : { error: error.message }) } });
    },
  };
}
