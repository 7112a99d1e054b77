/** `sand phase show | next`: where a guest stands in its policy, and moving it on through its run's control socket. */
import { escapeTerminal } from '../../audit/escape.ts';
import type { Environment } from '../../audit/runs.ts';
import { askControl } from '../control/client.ts';
import { controlFailed } from '../control/failure.ts';
import type { PhasePosition } from '../run/policy-course.ts';
import { isAlive, readRunState } from '../run/run-state.ts';
import { chooseRun } from './run-choice.ts';

export interface PhaseOptions {
  readonly run: string | undefined;
  readonly json: boolean;
  readonly env: Environment;
  readonly write: (text: string) => void;
}

/** From the state of the run: also of one that has ended. */
export async function showPhase(options: PhaseOptions): Promise<number> {
  const run = await chooseRun(options);
  const state = readRunState(run);
  const { phases = [], phase = null } = state ?? {};
  const alive = state !== null && isAlive(state);
  const next = phase === null ? null : (phases[phases.indexOf(phase) + 1] ?? null);
  if (options.json) options.write(`${JSON.stringify({ run: run.id, alive, phases, phase, next })}\n`);
  else options.write(`${describe(run.id, { phases, phase, next })}${alive ? '' : ' (it has ended)'}\n`);
  return 0;
}

/** Raises `phase-last` where there is no next one, `control-missing` where the run cannot be reached. */
export async function nextPhase(options: PhaseOptions): Promise<number> {
  const run = await chooseRun(options);
  const value = await askControl(run, { do: 'phase-next' });
  if (!isPosition(value)) throw controlFailed(`run ${run.id} did not answer`, new Error('no position'));
  if (options.json) options.write(`${JSON.stringify({ run: run.id, alive: true, ...value })}\n`);
  else options.write(`${describe(run.id, value)}\n`);
  return 0;
}

function describe(run: string, { phases, phase, next }: PhasePosition): string {
  if (phase === null) return `run ${run}: its policy has no phases`;
  const all = phases.map((name) => (name === phase ? `[${name}]` : name)).join(' \u2192 ');
  return escapeTerminal(`run ${run}: ${all}${next === null ? ', the last' : ''}`);
}

function isPosition(value: unknown): value is PhasePosition {
  if (typeof value !== 'object' || value === null) return false;
  const { phases, phase, next }: Partial<Record<string, unknown>> = { ...value };
  const isName = (name: unknown) => name === null || typeof name === 'string';
  return Array.isArray(phases) && phases.every(isName) && isName(phase) && isName(next);
}
