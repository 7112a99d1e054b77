/** `run.json` of a run: what is worth knowing while it lives, written once it is up and when its phase changes. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { RunPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';

export interface RunState {
  readonly run: string;
  /** The supervisor: the process that owns the guest and its gateway. */
  readonly pid: number;
  /** Start of that process in clock ticks since boot (proc(5), stat field 22): a pid alone can be somebody else's. */
  readonly pidStart: string;
  readonly backend: string;
  readonly isolation: string;
  readonly confinement: string;
  readonly dnsPort: number;
  /** Published ports, with the host's real ones; absent: none. */
  readonly ports?: readonly {
    readonly address: string;
    readonly hostPort: number;
    readonly guestPort: number;
  }[];
  /** Digest of what decides now. */
  readonly policy: string;
  /** Where the guest stands; absent: the policy has no phases. */
  readonly phase?: string;
  readonly phases?: readonly string[];
  readonly mounts: readonly {
    readonly source: string;
    readonly target: string;
    readonly writable: boolean;
  }[];
  readonly workdir: string;
  readonly guest: Readonly<Record<string, string | number>>;
}

/** Whole or not at all. */
export function writeRunState(run: RunPlace, state: Omit<RunState, 'run' | 'pid' | 'pidStart'>): void {
  const whole: RunState = {
    run: run.id,
    pid: process.pid,
    pidStart: processStart(process.pid) ?? '',
    ...state,
  };
  writeFileSync(`${run.statePath}.new`, `${JSON.stringify(whole, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${run.statePath}.new`, run.statePath);
}

/** Null where the run never came up. Raises `file-invalid`. */
export function readRunState(run: RunPlace): RunState | null {
  let text: string;
  try {
    text = readFileSync(run.statePath, 'utf8');
  } catch {
    return null;
  }
  try {
    const state: unknown = JSON.parse(text);
    if (isRunState(state)) return state;
  } catch {
    // The same answer as for JSON of another shape.
  }
  throw new SandError(
    'file-invalid',
    `${run.statePath} is not the state of a run`,
    'remove that file; the audit log is whole without it',
  );
}

/** Whether the run's supervisor still lives. */
export function isAlive(state: RunState): boolean {
  return state.pidStart !== '' && processStart(state.pid) === state.pidStart;
}

/** For followers of a log: a run that has not come up yet counts as alive. */
export function isRunAlive(run: RunPlace): boolean {
  const state = readRunState(run);
  return state === null || isAlive(state);
}

function isRunState(value: unknown): value is RunState {
  if (typeof value !== 'object' || value === null) return false;
  const has = (key: keyof RunState, type: string) => typeof Reflect.get(value, key) === type;
  return (
    has('run', 'string') && has('pid', 'number') && has('pidStart', 'string') && has('dnsPort', 'number')
  );
}

function processStart(pid: number): string | null {
  try {
    // The second field is a name that may hold spaces and parentheses; the fields after it are counted.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
