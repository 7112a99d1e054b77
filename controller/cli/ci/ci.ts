/**
 * `sand ci`: a run as `sand run` has it, compared with its baseline and told in reports. How a run is planned is
 * `run.ts`; what counts as drift, and which exit code it is, stands in `controller/ci/`.
 */
import { escapeTerminal } from '../../../audit/escape.ts';
import { type Baseline, baselineOf, type RunUsage, usageOfRun } from '../../ci/baseline.ts';
import { type Drift, findDrift } from '../../ci/drift.ts';
import { describeDrift } from '../../ci/drift-text.ts';
import { ciExitCode, defaultFailOn, parseFailOn } from '../../ci/fail-on.ts';
import { CI_LIMITS } from '../../ci/limits.ts';
import { writeOutput } from '../../ci/output-file.ts';
import { SandError } from '../../errors.ts';
import { usage } from '../../run/options.ts';
import { planRun } from '../../run/plan.ts';
import { runSession } from '../../run/session.ts';
import type { SessionResult } from '../../run/session-request.ts';
import { workingFolder } from '../../run/workspace.ts';
import { formatError } from '../errors.ts';
import { commandOf, type RunContext, type RunFlags, readRun, reportEnd } from '../run.ts';
import { type LocatedBaseline, locateBaseline, writeBaseline } from './baseline-file.ts';
import { planReports } from './reports.ts';

export interface CiFlags extends Omit<RunFlags, 'detach' | 'learn' | 'ask' | 'json'> {
  /** False: `--no-baseline`. */
  readonly baseline?: string | false;
  readonly updateBaseline: boolean;
  readonly failOn?: string;
  readonly report: readonly string[];
}

/** Gives the exit code of `sand ci`. */
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
  const baseline = locateBaseline(flags.baseline, flags.updateBaseline, cwd);
  const hasOutput = reports.some(({ place }) => place === null);
  const asked = await readRun(
    { ...flags, detach: false, learn: false, ask: false, json: hasOutput },
    commandOf(stray, context.command, 'ci'),
  );
  const guarded = baseline === null ? [] : [baseline.place.path];
  const result = await runSession(await planRun({ ...asked, guarded }));
  const stderr = (text: string): void => void process.stderr.write(text);
  reportEnd(result, stderr);
  const used = usageOfRun(result.rows);
  const recorded = baseline?.content ?? null;
  const drift = recorded === null ? [] : findDrift(recorded, used, endedWell(result));
  tellDrift(drift, stderr);
  const failures: SandError[] = [];
  if (flags.updateBaseline && baseline !== null) update(baseline, used, result, failures, stderr);
  const failOn = said ?? defaultFailOn(recorded !== null, flags.updateBaseline);
  const findings = {
    exitCode: result.exitCode,
    isLeftover: result.teardown.length > 0,
    denied: used.denied.length,
    drift: drift.length,
    cuts: 0,
  };
  const exitCode = ciExitCode(findings, failOn);
  for (const { place } of reports) {
    try {
      const text = '{}\n';
      if (place === null) context.write(text);
      else writeOutput(place, text);
    } catch (error) {
      if (!(error instanceof SandError)) throw error;
      failures.push(error);
    }
  }
  for (const failure of failures) stderr(formatError(failure));
  return failures.length > 0 && result.exitCode === 0 ? 125 : exitCode;
}

function endedWell({ exitCode, cause, error, teardown }: SessionResult): boolean {
  return exitCode === 0 && cause === 'exit' && error === null && teardown.length === 0;
}

function tellDrift(drift: readonly Drift[], stderr: (text: string) => void): void {
  if (drift.length === 0) return;
  stderr(`sand: drift from the baseline, ${drift.length} in all:\n`);
  for (const one of drift.slice(0, CI_LIMITS.told)) stderr(`  ${escapeTerminal(describeDrift(one))}\n`);
  const more = drift.length - CI_LIMITS.told;
  if (more > 0) stderr(`  and ${more} more\n`);
}

function update(
  located: LocatedBaseline,
  used: RunUsage,
  result: SessionResult,
  failures: SandError[],
  stderr: (text: string) => void,
): void {
  const file = escapeTerminal(located.file);
  if (!endedWell(result)) {
    stderr(`sand: ${file} is left as it was, since the run did not end well\n`);
    return;
  }
  const next: Baseline = baselineOf(used, located.content);
  if (used.isCut || Math.max(next.hosts.length, next.denied.length) > CI_LIMITS.baselineEntries) {
    failures.push(
      new SandError(
        'output-failed',
        `${located.file} is left as it was: a baseline has at most ${CI_LIMITS.baselineEntries} hosts`,
        'record patterns such as *.example.com for names that change',
      ),
    );
    return;
  }
  try {
    writeBaseline(located, next);
    stderr(`sand: written: ${file}, ${next.hosts.length} hosts and ${next.denied.length} denials\n`);
  } catch (error) {
    if (!(error instanceof SandError)) throw error;
    failures.push(error);
  }
}
