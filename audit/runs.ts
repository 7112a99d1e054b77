/**
 * Where runs lie and how one is found by name. Decides what a run id looks like; what is in a run's directory
 * is written by others: `audit.jsonl`, `policy.yaml` (the policy as resolved) and `run.json`.
 */
import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { RUNS_LIMITS } from './limits.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The files of one run. */
export interface RunPlace {
  readonly id: string;
  /** Mode 0700. */
  readonly directory: string;
  readonly auditPath: string;
  readonly policyPath: string;
  readonly statePath: string;
}

export type RunSearch =
  | { readonly kind: 'found'; readonly run: RunPlace }
  | { readonly kind: 'missing' }
  /** The newest few of the runs that the prefix names. */
  | { readonly kind: 'ambiguous'; readonly ids: readonly string[] }
  /** Not a run id nor the beginning of one. */
  | { readonly kind: 'malformed' };

const RUN_ID = /^\d{8}-\d{6}-[0-9a-z]{4}$/;
/** Digits, letters and dashes only: no separator, no dot, so a name can never leave the directory. */
const RUN_PREFIX = /^[0-9][0-9a-z-]{0,19}$/;
const SUFFIX_ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';
const RANDOM_LENGTH = 2;

/** `$XDG_STATE_HOME/sand/runs`, else `~/.local/state/sand/runs`. A relative XDG path is void, as its specification says. */
export function auditRoot(env: Environment): string {
  const { XDG_STATE_HOME: state = '', HOME: home = '' } = env;
  if (isAbsolute(state)) return join(state, 'sand', 'runs');
  return join(isAbsolute(home) ? home : homedir(), '.local', 'state', 'sand', 'runs');
}

/**
 * A name such as `20261121-201500-k3f9`: UTC, then the millisecond in two digits of base 36 and two random
 * ones, so that names sort by time. `clock` gives milliseconds since the epoch, `random` a whole number from 0
 * up to its argument. Two runs of one millisecond can draw the same name: create the directory exclusively,
 * and draw again when it exists.
 */
export function newRunId(clock: () => number, random: (below: number) => number): string {
  const now = new Date(clock());
  const [day = '', time = ''] = now.toISOString().split('T');
  const base = SUFFIX_ALPHABET.length;
  const millisecond = now.getUTCMilliseconds().toString(base).padStart(2, '0');
  const drawn = Array.from({ length: RANDOM_LENGTH }, () => SUFFIX_ALPHABET.charAt(random(base)));
  return `${day.replaceAll('-', '')}-${time.slice(0, 8).replaceAll(':', '')}-${millisecond}${drawn.join('')}`;
}

export function isRunId(text: string): boolean {
  return RUN_ID.test(text);
}

/** The files of a run, whether or not they exist. Takes nothing but a run id: anything else is a bug. */
export function runPlace(root: string, id: string): RunPlace {
  if (!isRunId(id)) throw new RangeError('not a run id');
  const directory = join(root, id);
  return {
    id,
    directory,
    auditPath: join(directory, 'audit.jsonl'),
    policyPath: join(directory, 'policy.yaml'),
    statePath: join(directory, 'run.json'),
  };
}

/** The newest runs, oldest first; none where the root does not exist. Links and other names are passed over. */
export async function listRuns(root: string): Promise<readonly RunPlace[]> {
  const ids = await runIds(root);
  return ids.slice(-RUNS_LIMITS.listed).map((id) => runPlace(root, id));
}

/** The last run when no name is given; else the one run that the name or its beginning means. */
export async function findRun(root: string, name?: string): Promise<RunSearch> {
  if (name !== undefined && !RUN_PREFIX.test(name)) return { kind: 'malformed' };
  const ids = (await runIds(root)).filter((id) => name === undefined || id.startsWith(name));
  const last = ids.at(-1);
  if (last === undefined) return { kind: 'missing' };
  if (name !== undefined && ids.length > 1) {
    return { kind: 'ambiguous', ids: ids.slice(-RUNS_LIMITS.candidates) };
  }
  return { kind: 'found', run: runPlace(root, last) };
}

async function runIds(root: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(root, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && isRunId(entry.name))
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
