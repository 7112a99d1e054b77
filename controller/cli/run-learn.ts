/** What follows a `sand run --learn`: the rules that the run needed, offered for the policy file that it ran under. */
import { resolve } from 'node:path';
import { isFileName } from '../../policies/layer.ts';
import { SandError } from '../errors.ts';
import type { Target } from '../policy-file/change-plan.ts';
import { openPolicyFile } from '../policy-file/policy-file.ts';
import { usage } from '../run/options.ts';
import { FOUND_NAME, findPolicy } from '../run/policy-choice.ts';
import { formatError } from './errors.ts';
import { targetOf } from './policy/change.ts';
import { readSurroundings, type Surroundings } from './policy/surroundings.ts';

export interface LearnPlace {
  readonly target: Target;
  /** What a file that is not there yet extends: what the run was under. */
  readonly bases: readonly string[];
}

/**
 * The one policy file that is named, else the one that is found, else a new one here. Raises `usage` where several are
 * named, and what a file can raise that is not to be changed.
 */
export function learnPlace(policies: readonly string[], surroundings: Surroundings): LearnPlace {
  const files = policies.filter(isFileName);
  const [file, ...others] = files;
  if (others.length > 0) throw usage('--learn writes to one policy file', 'name one file with --policy');
  if (file !== undefined || findPolicy(surroundings) !== null) {
    return { target: targetOf(file, surroundings), bases: [] };
  }
  const path = resolve(surroundings.cwd, FOUND_NAME);
  const bases = policies.length === 0 ? ['strict'] : policies;
  return { target: { file: FOUND_NAME, path, before: openPolicyFile(path) }, bases };
}

/** Before the run, so that nothing is run that cannot be learnt from. Raises as `learnPlace` does. */
export function checkPlace(policies: readonly string[]): void {
  learnPlace(
    policies,
    readSurroundings(() => {}),
  );
}

/** On stderr, since stdout is the command's. Whatever comes of it, the exit code is the command's too. */
export async function learnAfter(run: string, policies: readonly string[]): Promise<void> {
  const stderr = (text: string): void => void process.stderr.write(text);
  const surroundings = readSurroundings(stderr);
  try {
    const [{ learnPolicy }, { terminalQuestion }] = await Promise.all([
      import('./policy/learn.ts'),
      import('./policy/proposal.ts'),
    ]);
    const flags = { extend: [], wildcards: false, yes: false, json: false };
    const ask = terminalQuestion(surroundings.environ);
    await learnPolicy({ runs: [run], flags, ...learnPlace(policies, surroundings) }, { ask }, surroundings);
  } catch (error) {
    if (!(error instanceof SandError)) throw error;
    stderr(formatError(error));
  }
}
