/**
 * `sand ci`: a run as `sand run` has it, compared with its baseline and told in reports. How a run is planned is
 * `run.ts`; what counts as drift, and which exit code it is, stands in `controller/ci/`.
 */
import { redactCommand } from '../../../audit/redact.ts';
import { usageOfRun } from '../../ci/baseline.ts';
import { describeDenials } from '../../ci/denials.ts';
import { findDrift } from '../../ci/drift.ts';
import { ciExitCode, defaultFailOn, type FailOn, parseFailOn } from '../../ci/fail-on.ts';
import { type BaselineState, type CiOutcome, totalsOf } from '../../ci/outcome.ts';
import { writeOutput } from '../../ci/output-file.ts';
import { SandError } from '../../errors.ts';
import { ceilingCuts } from '../../run/ceiling-cuts.ts';
import { usage } from '../../run/options.ts';
import { planRun } from '../../run/plan.ts';
import { ceilingPaths } from '../../run/policy-choice.ts';
import { runSession } from '../../run/session.ts';
import type { SessionRequest, SessionResult } from '../../run/session-request.ts';
import { workingFolder } from '../../run/workspace.ts';
import { describeError, formatError } from '../errors.ts';
import { commandOf, type RunContext, type RunFlags, readRun, reportEnd } from '../run.ts';
import { type LocatedBaseline, locateBaseline } from './baseline-file.ts';
import { placeOfRules, readProcesses } from './gather.ts';
import { type PlannedReport, planReports, reportText } from './reports.ts';
import { tellCuts, tellDrift, tellUpdate } from './tell.ts';
import { updateBaseline } from './update.ts';

export interface CiFlags extends Omit<RunFlags, 'detach' | 'learn' | 'ask' | 'json'> {
  /** False: `--no-baseline`. */
  readonly baseline?: string | false;
  readonly updateBaseline: boolean;
  readonly failOn?: string;
  readonly report: readonly string[];
}

const stderr = (text: string): void => void process.stderr.write(text);

/** Gives the exit code of `sand ci`. Raises as `sand run` does, and `usage` and `file-invalid` for its own flags, before anything runs. */
export async function ciCommandLine(
  flags: CiFlags,
  stray: readonly string[],
  context: RunContext,
): Promise<number> {
  const cwd = workingFolder();
  const said = parseFailOn(flags.failOn);
  if (flags.updateBaseline && flags.baseline === false)
    throw usage('--update-baseline writes a baseline, and --no-baseline wants none', 'leave one out');
  const reports = planReports(flags.report, cwd);
  const located = locateBaseline(flags.baseline, flags.updateBaseline, cwd);
  const isShared = reports.some(({ place }) => place === null);
  const asked = await readRun(
    { ...flags, detach: false, learn: false, ask: false, json: isShared },
    commandOf(stray, context.command, 'ci'),
  );
  const place = placeOfRules(asked.policies, cwd);
  // Fail closed: a guest that could write what it is compared with would never stray from it.
  const guarded = located === null ? [] : [located.place.path];
  const request = await planRun({ ...asked, guarded });
  const result = await runSession(request);
  reportEnd(result, stderr);
  const failOn = said ?? defaultFailOn(located?.content != null, flags.updateBaseline);
  const judged = await judge({ request, result, located, place, failOn, isUpdate: flags.updateBaseline });
  const failures = [...judged.failures, ...writeReports(reports, judged.outcome, context.write)];
  for (const failure of failures) stderr(formatError(failure));
  return failures.length > 0 && result.exitCode === 0 ? 125 : judged.outcome.exitCode;
}

interface Ended {
  readonly request: SessionRequest;
  readonly result: SessionResult;
  readonly located: LocatedBaseline | null;
  readonly place: { readonly file: string; readonly line: number } | null;
  readonly failOn: ReadonlySet<FailOn>;
  readonly isUpdate: boolean;
}

/** Compares, tells on stderr, and writes the baseline where that was asked for. */
async function judge(
  ended: Ended,
): Promise<{ readonly outcome: CiOutcome; readonly failures: readonly SandError[] }> {
  const { request, result, located } = ended;
  const nowMs = Date.now();
  const used = usageOfRun(result.rows);
  const recorded = located?.content ?? null;
  const isWhole = endedWell(result);
  const drift = recorded === null ? [] : findDrift(recorded, used, isWhole);
  const files = request.inForce.ceilings.length === 0 ? [] : ceilingPaths(request.environ);
  const cuts = ceilingCuts(request.inForce, files, nowMs);
  tellCuts(cuts, stderr);
  const failures: SandError[] = [];
  let state: BaselineState = recorded === null ? 'none' : 'compared';
  if (ended.isUpdate && located !== null) {
    const update = updateBaseline(located, used, isWhole);
    state = update.state;
    if (update.failure !== null) failures.push(update.failure);
    tellUpdate(located.file, update, stderr);
  } else tellDrift(drift, stderr);
  const refused = result.rows.filter(
    ({ verdict, asker, muted }) => verdict === 'denied' && asker === 'guest' && !muted,
  );
  const processes = refused.length === 0 ? new Map() : await readProcesses(result.run.auditPath);
  const { policy } = request.inForce;
  const findings = {
    exitCode: result.exitCode,
    isLeftover: result.teardown.length > 0,
    denied: used.denied.length,
    drift: drift.length,
    cuts: cuts.length,
  };
  const outcome: CiOutcome = {
    run: result.run.id,
    command: redactCommand(request.command),
    exitCode: ciExitCode(findings, ended.failOn),
    ended: { exitCode: result.exitCode, cause: result.cause, durationMs: result.durationMs },
    totals: totalsOf(result.rows),
    denied: describeDenials(refused, { inForce: request.inForce, place: ended.place, processes, nowMs }),
    drift,
    used: used.used,
    failOn: [...ended.failOn],
    baseline: { file: located?.file ?? null, state },
    policy: {
      ...{ name: policy.name, digest: policy.digest, mode: policy.mode },
      ...{ layers: request.layers, file: ended.place?.file ?? null },
    },
    ceiling: { files, cuts },
    notices: result.notices,
    errors: [result.error, ...result.teardown].flatMap((error) =>
      error === null ? [] : [describeError(error)],
    ),
    auditLog: result.run.auditPath,
  };
  return { outcome, failures };
}

function endedWell({ exitCode, cause, error, teardown }: SessionResult): boolean {
  return exitCode === 0 && cause === 'exit' && error === null && teardown.length === 0;
}

/** Each is written, whatever becomes of the others. */
function writeReports(
  reports: readonly PlannedReport[],
  outcome: CiOutcome,
  write: (text: string) => void,
): readonly SandError[] {
  return reports.flatMap(({ format, place }) => {
    try {
      const text = reportText(format, outcome);
      if (place === null) write(text);
      else writeOutput(place, text);
      return [];
    } catch (error) {
      if (!(error instanceof SandError)) throw error;
      return [error];
    }
  });
}
