/** The folder of one run, made so that nobody else can have made or can read it. */
import { randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { newRunId, type RunPlace, runPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';

/** Two runs of one millisecond draw the same name once in a thousand. */
const NAME_ATTEMPTS = 10;

/** Mode 0700, made exclusively, so that no two runs share one. */
export function createRunDirectory(root: string): RunPlace {
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    for (let attempt = 1; ; attempt++) {
      const run = runPlace(root, newRunId(Date.now, randomInt));
      try {
        mkdirSync(run.directory, { mode: 0o700 });
        return run;
      } catch (error) {
        if (attempt >= NAME_ATTEMPTS || !(error instanceof Error && Reflect.get(error, 'code') === 'EEXIST'))
          throw error;
      }
    }
  } catch (error) {
    throw auditError(error, root);
  }
}

export function auditError(error: unknown, path: string): SandError {
  const detail = error instanceof Error ? error.message : String(error);
  const hint = 'make that folder writable, or set XDG_STATE_HOME to one that is';
  return new SandError(
    'audit-unavailable',
    `the audit log cannot be written below ${path}: ${detail}`,
    hint,
    { cause: error },
  );
}
