/** Writes the baseline of a run that ended well, and says what changed in it. */
import { type Baseline, baselineOf, type RunUsage } from '../../ci/baseline.ts';
import { type BaselineChange, compareBaselines } from '../../ci/baseline-change.ts';
import { formatBaseline } from '../../ci/baseline-text.ts';
import { CI_LIMITS } from '../../ci/limits.ts';
import type { BaselineState } from '../../ci/outcome.ts';
import { SandError } from '../../errors.ts';
import { type LocatedBaseline, writeBaseline } from './baseline-file.ts';

export interface BaselineUpdate {
  readonly state: Extract<BaselineState, 'written' | 'unchanged' | 'kept'>;
  readonly changes: readonly BaselineChange[];
  readonly failure: SandError | null;
}

const KEPT = { state: 'kept', changes: [] } as const;

export function updateBaseline(located: LocatedBaseline, used: RunUsage, isWhole: boolean): BaselineUpdate {
  if (!isWhole) return { ...KEPT, failure: null };
  const before = located.content;
  const next = baselineOf(used, before);
  const failure = boundFailure(located.file, used, next);
  if (failure !== null) return { ...KEPT, failure };
  if (before !== null && formatBaseline(before) === formatBaseline(next))
    return { state: 'unchanged', changes: [], failure: null };
  try {
    writeBaseline(located, next);
  } catch (error) {
    if (error instanceof SandError) return { ...KEPT, failure: error };
    throw error;
  }
  return { state: 'written', changes: compareBaselines(before, next), failure: null };
}

/** Fail closed: a baseline that does not hold all would call the rest drift, or be read as all there is. */
function boundFailure(file: string, { isCut }: RunUsage, { hosts, denied }: Baseline): SandError | null {
  const most = CI_LIMITS.baselineEntries;
  if (!isCut && hosts.length <= most && denied.length <= most) return null;
  return new SandError(
    'output-failed',
    `${file} is left as it was: the run used more than the ${most} hosts, or was denied more, than a baseline holds`,
    'record a pattern such as *.example.com for names that change',
  );
}
