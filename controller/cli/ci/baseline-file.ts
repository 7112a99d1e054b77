/** The baseline of a run on the host: which file it is, what it holds, and how a new one is written. */
import { readFileSync, statSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { Baseline } from '../../ci/baseline.ts';
import { BASELINE_NAME, formatBaseline, parseBaseline } from '../../ci/baseline-text.ts';
import { CI_LIMITS } from '../../ci/limits.ts';
import { type OutputPlace, planOutput, writeOutput } from '../../ci/output-file.ts';
import { SandError } from '../../errors.ts';
import { findUpward } from '../../run/found-file.ts';
import { formatIssue } from '../../run/policy-choice.ts';

export interface LocatedBaseline {
  /** As a person would write it here. */
  readonly file: string;
  readonly place: OutputPlace;
  /** Null: there is none yet. */
  readonly content: Baseline | null;
}

/**
 * `named`: the value of `--baseline`, false for `--no-baseline`. Null: there is none, and none is to be made. Raises
 * `file-invalid`, also for one that is named and missing, or found and of another user.
 */
export function locateBaseline(
  named: string | false | undefined,
  isUpdate: boolean,
  cwd: string,
): LocatedBaseline | null {
  if (named === false) return null;
  const found = named === undefined ? findUpward(cwd, BASELINE_NAME) : null;
  if (found !== null && !found.isOwn) {
    throw new SandError(
      'file-invalid',
      `${found.path} belongs to another user, so it is not used unasked`,
      `name it with --baseline ${found.path}, or leave it out with --no-baseline`,
    );
  }
  const file = named ?? (found === null ? null : relative(cwd, found.path)) ?? BASELINE_NAME;
  if (named === undefined && found === null && !isUpdate) return null;
  const path = resolve(cwd, file);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    if (isUpdate) return { file, place: planOutput('--baseline', file, cwd), content: null };
    // Fail closed: a baseline that was asked for and is not there does not mean "nothing to compare".
    throw new SandError('file-invalid', `there is no ${file}`, 'record one: sand ci --update-baseline');
  }
  return { file, place: planOutput('--baseline', file, cwd), content: readBaseline(path, file) };
}

function readBaseline(path: string, file: string): Baseline {
  const parsed = parseBaseline(readBytes(path, file), file);
  if (parsed.ok) return parsed.value;
  const [first] = parsed.issues;
  throw new SandError(
    'file-invalid',
    parsed.issues.slice(0, 20).map(formatIssue).join('\n'),
    first?.hint ?? 'remove it, and record it with --update-baseline',
    { details: { issues: parsed.issues } },
  );
}

function readBytes(path: string, file: string): Uint8Array {
  try {
    // Before it is read: a device or an endless file is no baseline.
    const stat = statSync(path);
    if (!stat.isFile() || stat.size > CI_LIMITS.baselineBytes) throw new Error('it is no baseline');
    return readFileSync(path);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new SandError(
      'file-invalid',
      `${file} cannot be read: ${message}`,
      'mend it, or name another with --baseline',
      { cause: error },
    );
  }
}

/** Raises `output-failed`. */
export function writeBaseline({ place }: LocatedBaseline, baseline: Baseline): void {
  writeOutput(place, formatBaseline(baseline));
}
