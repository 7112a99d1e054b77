/** How a run asks people: which broker holds its requests, and what an answer does to its policy and its policy file. */
import type { AuditEntry } from '../../audit/event.ts';
import { redactCommand } from '../../audit/redact.ts';
import type { RunPlace } from '../../audit/runs.ts';
import type { IpAddress, PolicyInForce } from '../../policies/model.ts';
import { AskBroker } from '../ask/broker.ts';
import { writePolicyLine } from '../ask/policy-line.ts';
import type { Capabilities, MountSpec } from '../backends/backend.ts';
import { isInReach, writableFolders } from './guest-reach.ts';
import type { PolicyCourse } from './policy-course.ts';

/** Brings the answers of people besides those at the control socket. Gives what ends that. */
export type AskFront = (broker: AskBroker, run: RunPlace) => () => void;

export interface AskSettings {
  readonly front: AskFront;
  /** The policy file that a line can be written to; null: there is none. */
  readonly file: string | null;
}

export interface AskingRun {
  readonly course: PolicyCourse;
  readonly record: (entry: AuditEntry) => number;
  /** What runs in the guest now. */
  readonly command: () => readonly string[];
  readonly hostAddresses: () => readonly IpAddress[];
  /** Puts a policy in force. */
  readonly enforce: (next: PolicyInForce) => Promise<void>;
}

/**
 * Fail closed: where nothing keeps the guest from writing the policy file, a line would be added to whatever it holds by then, and the
 * guest's end undoes both. So no line is offered.
 */
export function settingsFor(
  { front, file }: AskSettings,
  protection: Capabilities['protection'],
  mounts: readonly MountSpec[],
): AskSettings {
  const isUnheld = protection === 'restored' && file !== null;
  return isUnheld && isInReach(file, writableFolders({ mounts, cache: null }))
    ? { front, file: null }
    : { front, file };
}

export function createBroker(
  { file }: AskSettings,
  { course, record, command, hostAddresses, enforce }: AskingRun,
): AskBroker {
  return new AskBroker({
    policy: () => course.inForce,
    hostAddresses,
    record,
    file,
    command: () => redactCommand(command()).join(' '),
    grant: (rule) => ({
      digest: course.peekGranted(rule).policy.digest,
      apply: () => {
        course.grant(rule);
        return enforce(course.inForce);
      },
    }),
    write: file === null ? null : async (rule) => writePolicyLine(file, rule, course.position.phase),
  });
}
