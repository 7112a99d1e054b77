/** `run.json` of a run: what is worth knowing of it, written whenever that changes, and how it ended. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import type { ImageFact, RunEnd } from '../../audit/event.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { processSight } from '../process/identity.ts';

export interface RunState {
  readonly run: string;
  /** What people call the guest: its `--name`, else the run. */
  readonly name: string;
  /** `starting`: no command can run yet. */
  readonly status: 'starting' | 'running';
  /** RFC 3339, UTC. */
  readonly startedAt: string;
  /** Redacted; none for a guest that is only held. */
  readonly command: readonly string[];
  /** Whether its supervisor runs in the background. */
  readonly detached: boolean;
  /** Absent while it lives, and of a run that was killed. */
  readonly end?: {
    readonly exitCode: number;
    readonly cause: RunEnd['cause'];
    readonly at: string;
    /** What went wrong in sand, if anything. */
    readonly error?: string;
  };
  /** The supervisor: the process that owns the guest and its gateway. */
  readonly pid: number;
  /** Start of that process as `process/identity.ts` tells it, empty where nobody told: a pid alone can be somebody else's. */
  readonly pidStart: string;
  readonly backend: string;
  readonly isolation: string;
  readonly image?: ImageFact;
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
  /** The policy file that the run was started under, where a rule for it goes; absent: only presets and flags spoke. */
  readonly policyFile?: string;
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
    pidStart: ownStart(),
    ...state,
  };
  const descriptor = openSync(`${run.statePath}.new`, 'w', 0o600);
  try {
    writeSync(descriptor, `${JSON.stringify(whole, null, 2)}\n`);
    // Else a machine that loses its power right after the rename can show an empty file.
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
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

/** Whether the run's supervisor still lives, and has not said that the run is over. */
export function isAlive(state: RunState, sight = processSight()): boolean {
  if (state.end !== undefined || state.pidStart === '') return false;
  const start = sight.start(state.pid);
  // Fail closed: a process is there and nobody tells which one, and what a run that lives has left is not removed.
  return start === 'unknown' || start === state.pidStart;
}

function ownStart(): string {
  const start = processSight().start(process.pid);
  return start === null || start === 'unknown' ? '' : start;
}

/** For followers of a log: a run that has not come up yet counts as alive. */
export function isRunAlive(run: RunPlace): boolean {
  const state = readRunState(run);
  return state === null || isAlive(state);
}

/** For lists: whether a run's state says that its supervisor lives; what has no state, or none that reads, does not. */
export function isSupervised(run: RunPlace): boolean {
  try {
    const state = readRunState(run);
    return state !== null && isAlive(state);
  } catch {
    return false;
  }
}

function isRunState(value: unknown): value is RunState {
  if (typeof value !== 'object' || value === null) return false;
  const has = (key: keyof RunState, type: string) => typeof Reflect.get(value, key) === type;
  return (
    has('run', 'string') &&
    has('name', 'string') &&
    has('status', 'string') &&
    has('pid', 'number') &&
    has('pidStart', 'string') &&
    has('dnsPort', 'number') &&
    has('startedAt', 'string') &&
    has('backend', 'string') &&
    has('detached', 'boolean') &&
    Array.isArray(Reflect.get(value, 'command')) &&
    isEnd(Reflect.get(value, 'end'))
  );
}

function isEnd(value: unknown): boolean {
  return value === undefined || (typeof value === 'object' && value !== null && 'exitCode' in value);
}
