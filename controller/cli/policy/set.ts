/**
 * `sand policy set GUEST POLICY...`: another policy for a guest that runs. Tells first what that opens and closes; the
 * run itself compiles what is named again, and decides whether the guest can go on under it.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { escapeJson, escapeTerminal } from '../../../audit/escape.ts';
import type { Environment, RunPlace } from '../../../audit/runs.ts';
import { comparePolicies } from '../../../policies/compare/compare.ts';
import { formatDifference } from '../../../policies/compare/format-difference.ts';
import { isFileName } from '../../../policies/layer.ts';
import type { CompiledPolicy } from '../../../policies/model.ts';
import { askControl } from '../../control/client.ts';
import { SandError } from '../../errors.ts';
import { compileOrRefuse } from '../../run/policy-choice.ts';
import { createPolicyReader } from '../../run/policy-reader.ts';
import { isAlive, readRunState } from '../../run/run-state.ts';
import { chooseRun } from '../run-choice.ts';
import { describeDifference } from './diff.ts';

export interface SetFlags {
  readonly guest: string;
  /** As with `--policy`. */
  readonly policies: readonly string[];
  readonly json: boolean;
}

export interface SetSurroundings {
  readonly cwd: string;
  readonly environ: Environment;
  readonly nowMs: number;
  readonly write: (text: string) => void;
}

/** Raises `policy-invalid`, `policy-missing`, `guest-ended`, and what the run raises; then the guest goes on as before. */
export async function setPolicy(flags: SetFlags, surroundings: SetSurroundings): Promise<number> {
  const { cwd, environ, nowMs, write } = surroundings;
  const run = await chooseRun({ env: environ, run: flags.guest });
  requireAlive(run, flags.guest);
  const policies = flags.policies.map((name) => absoluteName(name, cwd));
  const after = compileOrRefuse(
    policies.map((name) => ({ kind: 'named', name })),
    createPolicyReader(cwd),
  );
  const difference = comparePolicies(
    { policy: keptPolicy(run), ceilings: [] },
    { policy: after, ceilings: [] },
    { nowMs },
  );
  if (!flags.json) write(formatDifference(difference, { style: 'text' }));
  const policy = digestOf(await askControl(run, { do: 'policy', policies }));
  if (flags.json) {
    const value = { guest: flags.guest, run: run.id, policy, ...describeDifference(difference) };
    write(`${escapeJson(JSON.stringify(value))}\n`);
  } else write(`${escapeTerminal(flags.guest)} goes by ${policy ?? 'it'} now\n`);
  return 0;
}

/** The run is in another folder than the caller may be. Pure. */
export function absoluteName(name: string, cwd: string): string {
  return isFileName(name) ? resolve(cwd, name) : name;
}

function requireAlive(run: RunPlace, guest: string): void {
  const state = readRunState(run);
  if (state !== null && isAlive(state)) return;
  throw new SandError(
    'guest-ended',
    `${escapeTerminal(guest)} does not run, so no policy of it can change`,
    'list the guests that run with `sand ls`',
  );
}

/** As the run wrote it when it came up, or when its policy changed last. */
function keptPolicy(run: RunPlace): CompiledPolicy {
  const { directory, policyPath } = run;
  let text: Buffer;
  try {
    text = readFileSync(policyPath);
  } catch (cause) {
    // Fail closed: a change whose meaning cannot be told is not made.
    throw new SandError(
      'file-invalid',
      `the policy that the guest goes by cannot be read (${policyPath})`,
      'start a new guest with the policy',
      { cause },
    );
  }
  return compileOrRefuse(
    [{ kind: 'text', text, file: policyPath, directory }],
    createPolicyReader(directory),
  );
}

function digestOf(answer: unknown): string | null {
  const policy: unknown =
    typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'policy') : null;
  return typeof policy === 'string' ? policy : null;
}
