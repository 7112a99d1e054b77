/** `sand audit tail`: the last events of a run, and every later one up to its end. */
import { type FollowStep, followAuditLog } from '../../audit/follow.ts';
import { UNSEALED } from '../../audit/header.ts';
import { FOLLOW_LIMITS } from '../../audit/limits.ts';
import { type ReadLine, readAuditLog } from '../../audit/read.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { type Criteria, EVERYTHING, Selection } from '../../audit/selection.ts';
import { SandError } from '../errors.ts';
import {
  type AuditedRun,
  type AuditOutput,
  chooseAudited,
  readingLog,
  signalOf,
  writeLine,
} from './audit-output.ts';

export interface TailOptions extends AuditOutput, AuditedRun {
  readonly follow: boolean;
  readonly criteria?: Criteria;
  /** Whether that run's supervisor still lives; ends the following of a log that will get no seal. */
  readonly alive?: (run: RunPlace) => boolean;
}

/**
 * The last events, and with `follow` every later one up to the seal or the signal. 1 when lines were
 * unreadable or the run ended without its seal.
 */
export async function auditTail(options: TailOptions): Promise<number> {
  const run = await chooseAudited(options);
  return readingLog(run, () => (options.follow ? followRun(run, options) : showLast(run, options)));
}

async function showLast(run: RunPlace, options: TailOptions): Promise<number> {
  const isShown = selectorOf(options);
  const last: ReadLine[] = [];
  let faults = 0;
  for await (const line of readAuditLog(run.auditPath, signalOf(options))) {
    if (!line.ok) faults += 1;
    if (!isShown(line)) continue;
    last.push(line);
    if (last.length > FOLLOW_LIMITS.events) last.shift();
  }
  for (const line of last) writeLine(line, options);
  return faults > 0 ? 1 : 0;
}

async function followRun(run: RunPlace, options: TailOptions): Promise<number> {
  const isShown = selectorOf(options);
  let before: ReadLine[] | null = [];
  let faults = 0;
  const { alive } = options;
  const follow = { ...signalOf(options), ...(alive === undefined ? {} : { alive: () => alive(run) }) };
  for await (const step of followAuditLog(run.auditPath, follow)) {
    if (step.kind === 'lines') {
      faults += step.lines.filter((line) => !line.ok).length;
      const shown = step.lines.filter(isShown);
      if (before === null) for (const line of shown) writeLine(line, options);
      else before = [...before, ...shown].slice(-FOLLOW_LIMITS.events);
      continue;
    }
    for (const line of before ?? []) writeLine(line, options);
    before = null;
    if (step.kind !== 'caught-up') return endOfFollowing(run, step, options) || Number(faults > 0);
  }
  return faults > 0 ? 1 : 0;
}

/** Lines that are no events are always told. */
function selectorOf({ criteria = EVERYTHING }: TailOptions): (line: ReadLine) => boolean {
  const selection = new Selection(criteria, 'by itself');
  return (line) => !line.ok || selection.has(line.event);
}

function endOfFollowing(
  run: RunPlace,
  step: Exclude<FollowStep, { kind: 'lines' | 'caught-up' }>,
  options: TailOptions,
): number {
  switch (step.kind) {
    case 'sealed':
      return 0;
    case 'abandoned':
      if (step.torn !== null) writeLine(step.torn, options);
      if (!options.json) options.write(`run ${run.id}: ${UNSEALED}\n`);
      return 1;
    case 'shortened': {
      const hint = `Run \`sand audit verify ${run.id}\`.`;
      throw new SandError('audit-broken', `the audit log of run ${run.id} was cut while it was read`, hint);
    }
  }
}
