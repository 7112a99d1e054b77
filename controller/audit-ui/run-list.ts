/** The runs of this user as the page lists them: what each was, how it ended, and which of them live. */
import { readLogEnds } from '../../audit/ends.ts';
import { RUNS_LIMITS } from '../../audit/limits.ts';
import { listRuns, type RunPlace } from '../../audit/runs.ts';
import { isAlive, type RunState, readRunState } from '../run/run-state.ts';

export interface ListedRun {
  readonly run: string;
  /** What people call the guest; null: by its run. */
  readonly name: string | null;
  readonly command: readonly string[];
  /** RFC 3339. */
  readonly started: string | null;
  readonly policy: string | null;
  readonly mode: string | null;
  readonly live: boolean;
  /** Null where the log has no seal. */
  readonly exitCode: number | null;
  /** Of a sealed log. */
  readonly denied: number | null;
}

/** The newest first. A run without a readable log is listed all the same. */
export async function listedRuns(root: string): Promise<readonly ListedRun[]> {
  const runs = (await listRuns(root)).slice(-RUNS_LIMITS.shown).reverse();
  const listed: ListedRun[] = [];
  for (const run of runs) listed.push(await listedRun(run));
  return listed;
}

async function listedRun(run: RunPlace): Promise<ListedRun> {
  const { first, last } = await readLogEnds(run.auditPath).catch(() => ({ first: null, last: null }));
  const start = first?.kind === 'run-start' ? first : null;
  const end = last?.kind === 'run-end' ? last : null;
  const state = stateOf(run);
  return {
    run: run.id,
    name: start?.name ?? null,
    command: start?.command ?? [],
    started: start?.time ?? null,
    policy: start?.policy.name ?? null,
    mode: start?.policy.mode ?? null,
    live: end === null && state !== null && isAlive(state),
    exitCode: end?.exitCode ?? null,
    denied: end?.totals?.denied ?? null,
  };
}

/** Null where there is none, or it does not read. */
export function stateOf(run: RunPlace): RunState | null {
  try {
    return readRunState(run);
  } catch {
    return null;
  }
}
