/**
 * A command in a guest that another process supervises: asks it for the guest, runs the command from here on this
 * process's own streams, and has it put on record before it runs.
 */
import type { RunPlace } from '../../audit/runs.ts';
import type { GuestCommand, GuestHandle, GuestRef } from '../backends/backend.ts';
import { createBackend } from '../backends/registry.ts';
import { askControl } from '../control/client.ts';
import { controlFailed } from '../control/failure.ts';
import { SandError } from '../errors.ts';
import { isAlive, type RunState, readRunState } from './run-state.ts';
import type { SignalSource } from './session-request.ts';
import { createSignalRelay } from './signal-relay.ts';
import { STOP_GRACE_MS } from './way-out.ts';

export interface ExecRequest {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** As the guest sees it; null: the guest's own. */
  readonly workdir: string | null;
  readonly stdio: GuestCommand['stdio'];
  readonly terminal: boolean;
  readonly output?: GuestCommand['output'];
  readonly signals: SignalSource;
  /** Aborting it ends the command at once, and what comes of it is thrown. */
  readonly abort?: AbortSignal;
}

/** The command's own exit code. Raises `guest-ended`, and what the backend raises. */
export async function execInGuest(run: RunPlace, request: ExecRequest): Promise<number> {
  const { backend: name, guest } = accessOf(await askForGuest(run), run);
  const backend = createBackend(name);
  const stop = new AbortController();
  const kill = new AbortController();
  const signals = createSignalRelay({ early: (signal) => stop.abort(signal), force: () => kill.abort() });
  const unlisten = request.signals.listen(signals.receive);
  const end = request.abort === undefined ? kill.signal : AbortSignal.any([kill.signal, request.abort]);
  let exec: number | null = null;
  const startedAt = performance.now();
  try {
    const { code } = await backend.exec(guest, {
      argv: request.command,
      environment: request.environment,
      ...(request.workdir === null ? {} : { workdir: request.workdir }),
      stdio: request.stdio,
      terminal: request.terminal,
      ...(request.output === undefined ? {} : { output: request.output }),
      admit: async (probes) => {
        const answer = await askControl(run, { do: 'exec', command: request.command, probes });
        exec = numberOf(answer, run);
      },
      started: signals.started,
      signal: stop.signal,
      graceMs: STOP_GRACE_MS,
      kill: end,
    });
    await tellEnd(run, exec, code, startedAt);
    return code;
  } catch (error) {
    if (stop.signal.aborted) return 128 + (stop.signal.reason === 'SIGINT' ? 2 : 15);
    throw error;
  } finally {
    unlisten();
  }
}

async function askForGuest(run: RunPlace): Promise<unknown> {
  try {
    return await askControl(run, { do: 'guest' });
  } catch (error) {
    if (!(error instanceof SandError && error.code === 'control-missing')) throw error;
    const state = readRunState(run);
    if (state === null || isAlive(state)) throw error;
    throw guestEnded(state);
  }
}

function guestEnded({ name, end }: RunState): SandError {
  if (end !== undefined)
    return new SandError(
      'guest-ended',
      `${name} has ended with exit code ${end.exitCode}`,
      'start another: sand run -d',
    );
  const message = `the supervisor of ${name} was killed, and the guest with it`;
  return new SandError('guest-ended', message, 'remove what is left of it: sand prune');
}

/** A guest that has ended meanwhile has put its own end on record. */
async function tellEnd(
  run: RunPlace,
  exec: number | null,
  exitCode: number,
  startedAt: number,
): Promise<void> {
  if (exec === null) return;
  const durationMs = Math.round(performance.now() - startedAt);
  await askControl(run, { do: 'exec-end', exec, exitCode, durationMs }).catch((error: unknown) => {
    if (error instanceof SandError && error.code === 'control-missing') return;
    throw error;
  });
}

function accessOf(value: unknown, run: RunPlace): { readonly backend: string; readonly guest: GuestRef } {
  const { backend, guest }: Partial<Record<string, unknown>> = { ...objectOf(value) };
  const { name, handle }: Partial<Record<string, unknown>> = { ...objectOf(guest) };
  const given = objectOf(handle);
  if (typeof backend !== 'string' || typeof name !== 'string' || given === null)
    throw controlFailed(`run ${run.id} did not answer`, new Error('it names no guest'));
  return { backend, guest: { name, handle: given } };
}

function numberOf(value: unknown, run: RunPlace): number {
  const { exec }: Partial<Record<string, unknown>> = { ...objectOf(value) };
  if (typeof exec === 'number') return exec;
  // Fail closed: what is not on record does not run.
  throw controlFailed(`run ${run.id} did not answer`, new Error('the command is not on record'));
}

function objectOf(value: unknown): GuestHandle | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
}
