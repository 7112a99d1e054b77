/**
 * Allow, deny or mute on an event: a proposal that is shown, and then written where the file is still what the proposal
 * was made from. What to write comes from the log and the policy file; the page names a run, a line of its log and a
 * word, and nothing else counts.
 */
import { createHash, randomBytes } from 'node:crypto';
import { escapeTerminal } from '../../audit/escape.ts';
import type { AuditEvent, RunStart } from '../../audit/event.ts';
import { readAuditLog } from '../../audit/read.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { formatDifference } from '../../policies/compare/format-difference.ts';
import type { PolicyChange } from '../../policies/edit/edit.ts';
import type { CompiledPolicy } from '../../policies/model.ts';
import { formatSubject } from '../../policies/subject.ts';
import { SandError } from '../errors.ts';
import { type ChangePlan, compileText, planChange } from '../policy-file/change-plan.ts';
import { isHeld } from '../policy-file/held-file.ts';
import { openPolicyFile, type PolicyFile, writePolicyFile } from '../policy-file/policy-file.ts';
import { formatIssue } from '../run/policy-choice.ts';
import { isAlive } from '../run/run-state.ts';
import { changeForEvent, type UiAction } from './event-change.ts';
import { UI_LIMITS } from './limits.ts';
import { adviceAfter, type NextStep, waitForReload } from './next-step.ts';
import { type RulePlace, rulePlace } from './rule-place.ts';
import { stateOf } from './run-list.ts';

export interface ProposalRequest {
  readonly run: RunPlace;
  readonly seq: number;
  readonly action: UiAction;
}

/** As the page gets it. Texts are escaped as for a terminal: each line shows what it holds. */
export type Offer =
  | { readonly kind: 'refused'; readonly message: string; readonly hint: string }
  | {
      readonly kind: 'offered';
      readonly id: string;
      readonly action: UiAction;
      readonly subjects: readonly string[];
      readonly file: string;
      readonly path: string;
      readonly isNew: boolean;
      /** Of the file that it was made from; null: there is none. */
      readonly digest: string | null;
      /** False: the file says so already, and there is nothing to write. */
      readonly changed: boolean;
      readonly patch: string;
      readonly difference: string;
      readonly widens: number;
      readonly narrows: number;
      readonly notes: readonly string[];
      readonly warnings: readonly string[];
      readonly stillDenied: readonly string[];
    };

export type Applied =
  | ({ readonly kind: 'written'; readonly file: string; readonly inForce: boolean } & NextStep)
  /** The file has changed since: nothing is written, and a new proposal may be asked for. */
  | { readonly kind: 'stale'; readonly message: string }
  | { readonly kind: 'gone'; readonly message: string };

export interface ProposalOptions {
  /** The folder of the runs. */
  readonly root: string;
  readonly cwd: string;
  readonly ceilings: () => readonly CompiledPolicy[];
  readonly nowMs: () => number;
  /** Told of each file that is written. */
  readonly told: (text: string) => void;
}

interface Waiting {
  readonly plan: ChangePlan;
  readonly request: ProposalRequest;
  readonly start: RunStart | null;
  readonly madeMs: number;
}

export class Proposals {
  readonly #options: ProposalOptions;
  /** The oldest first. */
  readonly #waiting = new Map<string, Waiting>();

  constructor(options: ProposalOptions) {
    this.#options = options;
  }

  /** Raises what planning a change raises, and `run-missing` where the log has no such event. */
  async propose(request: ProposalRequest): Promise<Offer> {
    const { cwd, ceilings, nowMs } = this.#options;
    const found = await findEvent(request);
    const change = changeForEvent(found.event, request.action, nowMs());
    if (!change.ok) return { kind: 'refused', message: change.message, hint: change.hint };
    const place = rulePlace(
      { policyFile: stateOf(request.run)?.policyFile ?? null, start: found.start },
      cwd,
    );
    const phase = phaseIn(place, found.phase, cwd);
    const extension: readonly PolicyChange[] =
      place.bases.length === 0 ? [] : [{ kind: 'extend', names: place.bases }];
    const { rules } = change;
    const plan = planChange(
      {
        target: place.target,
        changes: [...extension, { kind: 'add', rules, ...(phase === null ? {} : { phase }) }],
        rules,
      },
      { cwd, ceilings: ceilings(), nowMs: nowMs() },
    );
    const id = this.#keep({ plan, request, start: found.start, madeMs: nowMs() });
    const subjects = rules.flatMap((rule) => rule.subjects.map(formatSubject));
    const scope = phase === null ? [] : [`It holds in the phase ${phase}, in which this was asked.`];
    return offerOf(id, request, plan, subjects, [...place.notes, ...scope, ...change.notes]);
  }

  /** Raises `policy-unwritable`. */
  async apply(id: string): Promise<Applied> {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (waiting === undefined || this.#options.nowMs() - waiting.madeMs > UI_LIMITS.proposalMs)
      return { kind: 'gone', message: 'This proposal is not there any more. Look at it again.' };
    const { plan, request, start } = waiting;
    // Fail closed: what was shown was made from another file, so nobody has said yes to what would come out.
    if (digestOf(openPolicyFile(plan.path)) !== digestOf(plan.before))
      return {
        kind: 'stale',
        message: `${escapeTerminal(plan.file)} has changed since. Nothing is written.`,
      };
    const before = stateOf(request.run);
    writePolicyFile(plan.path, plan.before, plan.text, { held: isHeld(this.#options.root, plan.path) });
    this.#options.told(`written: ${plan.file}`);
    const live = before !== null && isAlive(before);
    const inForce = live && (await waitForReload(request.run, before.policy));
    const { next, command } = adviceAfter({ plan, start, state: live ? before : null, inForce });
    return {
      kind: 'written',
      file: escapeTerminal(plan.file),
      inForce,
      next: escapeTerminal(next),
      command: command === null ? null : escapeTerminal(command),
    };
  }

  #keep(waiting: Waiting): string {
    const id = randomBytes(9).toString('base64url');
    this.#waiting.set(id, waiting);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > UI_LIMITS.proposals && oldest !== undefined) this.#waiting.delete(oldest);
    return id;
  }
}

interface FoundEvent {
  readonly event: AuditEvent;
  readonly start: RunStart | null;
  /** In which it was asked; null: the policy has none. */
  readonly phase: string | null;
}

async function findEvent({ run, seq }: ProposalRequest): Promise<FoundEvent> {
  let start: RunStart | null = null;
  let phase: string | null = null;
  for await (const line of readAuditLog(run.auditPath)) {
    if (!line.ok) continue;
    const { event } = line;
    if (event.kind === 'run-start') {
      start = event;
      phase = event.policy.phase ?? null;
    } else if (event.kind === 'phase') phase = event.phase;
    if (event.seq === seq) return { event, start, phase };
  }
  throw new SandError('run-missing', `run ${run.id} has no event ${seq}`, 'load the page again');
}

/** The phase where the file has it; a file without it says what holds in every phase. */
function phaseIn({ target }: RulePlace, phase: string | null, cwd: string): string | null {
  if (phase === null || target.before === null) return null;
  const { phases = [] } = compileText(target.before.bytes, target.file, cwd).policy;
  return phases.some(({ name }) => name === phase) ? phase : null;
}

function offerOf(
  id: string,
  { action }: ProposalRequest,
  plan: ChangePlan,
  subjects: readonly string[],
  notes: readonly string[],
): Offer {
  const { changes } = plan.difference;
  const count = (direction: string) => changes.filter((change) => change.direction === direction).length;
  return {
    kind: 'offered',
    id,
    action,
    subjects: subjects.map(escapeTerminal),
    file: escapeTerminal(plan.file),
    path: escapeTerminal(plan.path),
    isNew: plan.before === null,
    digest: digestOf(plan.before),
    changed: plan.changed,
    patch: visibleLines(plan.patch),
    difference: formatDifference(plan.difference, { style: 'text' }),
    widens: count('widens'),
    narrows: count('narrows'),
    notes: notes.map(escapeTerminal),
    warnings: plan.warnings.map((issue) => visibleLines(formatIssue(issue))),
    stillDenied: plan.stillDenied.map(escapeTerminal),
  };
}

function visibleLines(text: string): string {
  return text.split('\n').map(escapeTerminal).join('\n');
}

function digestOf(file: PolicyFile | null): string | null {
  return file === null ? null : `sha256:${createHash('sha256').update(file.bytes).digest('hex')}`;
}
