/**
 * Which policy a guest is under as time passes: the one of its files as they change, or another that a person on the host
 * puts in its place. What a policy does is the gateway's.
 */
import { writeFileSync } from 'node:fs';
import type { AuditEntry } from '../../audit/event.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { formatPolicy } from '../../policies/format.ts';
import type { PolicyInForce } from '../../policies/model.ts';
import { SandError } from '../errors.ts';
import type { GuestRecord } from '../guests/registry.ts';
import { toSandError } from './ending.ts';
import { writableFolders } from './guest-reach.ts';
import { watchKept } from './kept-files.ts';
import { writeBeside } from './log-failure.ts';
import type { PolicyChoice, PolicyReread } from './policy-choice.ts';
import type { PolicyCourse } from './policy-course.ts';
import { describeReload, watchPolicy } from './policy-watch.ts';
import { requireOffer } from './run-facts.ts';
import type { SessionRequest } from './session-request.ts';

type FollowedRequest = Pick<
  SessionRequest,
  'backend' | 'isolation' | 'mounts' | 'cache' | 'inForce' | 'layers' | 'reread' | 'choosePolicy'
>;

interface FollowedRun {
  readonly guest: GuestRecord;
  readonly course: PolicyCourse;
  readonly record: (entry: AuditEntry) => number;
  readonly enforce: (next: PolicyInForce) => Promise<void>;
}

/**
 * A changed policy file that the guest has no say in is in force within a moment; one that does not parse changes
 * nothing, and is told with its line. A person on the host can put another policy in its place.
 */
export function followPolicy(request: FollowedRequest, { guest, course, record, enforce }: FollowedRun) {
  const { name, run } = guest;
  const writable = writableFolders(request);
  const watch = (choice: Pick<PolicyChoice, 'reread' | 'inForce' | 'layers'>): (() => void) => {
    const { reread, inForce } = choice;
    const cure = setCommand(name, choice.layers);
    const ends = [watchKept({ inForce, writable, cure }, (notice) => record({ kind: 'notice', ...notice }))];
    const follow = (again: NonNullable<typeof reread>) =>
      watchPolicy({ inForce, reread: again }, writable, async (change) => {
        const held = course.reload(refuseUnmet(change, request));
        if (held.ok) await enforce(held.inForce);
        if (change.ok && held.ok) keepPolicy(run, change.inForce);
        const { code, detail } = describeReload(held);
        record({ kind: 'notice', code, detail });
      });
    if (reread !== null) ends.push(follow(reread));
    return () => {
      for (const end of ends) end();
    };
  };
  let unwatch = watch(request);
  return {
    close: () => unwatch(),
    /** Raises what choosing raises, and `policy-invalid` where the guest cannot go on under it. */
    async replace(policies: readonly string[]): Promise<string> {
      const choice = await request.choosePolicy(policies);
      requireOffer(choice.inForce, request);
      const held = course.reload({ ok: true, inForce: choice.inForce });
      if (!held.ok)
        throw new SandError(
          'policy-invalid',
          held.problem,
          'name a policy whose phases begin as those of the guest',
        );
      const { digest } = held.inForce.policy;
      const detail = `the policy was replaced from the host: ${choice.layers.join(' + ')} (${digest})`;
      // On record before it decides anything.
      record({ kind: 'notice', code: 'policy-replaced', detail });
      unwatch();
      await enforce(held.inForce);
      keepPolicy(run, choice.inForce);
      unwatch = watch(choice);
      return digest;
    },
  };
}

/** What `--allow` gave it cannot say. */
function setCommand(name: string, layers: readonly string[]): string {
  return ['sand policy set', name, ...layers.filter((layer) => !layer.startsWith('--allow '))].join(' ');
}

/** Fail closed: a guest that does not offer what a changed file requires is not said to be under that file. */
function refuseUnmet(reread: PolicyReread, request: FollowedRequest): PolicyReread {
  if (!reread.ok) return reread;
  try {
    requireOffer(reread.inForce, request);
    return reread;
  } catch (error) {
    return { ok: false, problem: toSandError(error).message };
  }
}

/** With all its phases, for whoever asks what the guest goes by. */
export function keepPolicy(run: RunPlace, { policy }: PolicyInForce): void {
  writeBeside(run, () => writeFileSync(run.policyPath, formatPolicy(policy), { mode: 0o600 }));
}
