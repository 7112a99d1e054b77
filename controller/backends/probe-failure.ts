/** A start probe that did not pass, as the error that keeps a command from starting. */
import type { ProbeResult } from '../../audit/event.ts';
import { SandError } from '../errors.ts';

/** Fail closed: raises `probe-failed` where one did not pass. */
export function requirePassed(results: readonly ProbeResult[]): void {
  const failed = results.filter(({ passed }) => !passed);
  if (failed.length === 0) return;
  throw new SandError(
    'probe-failed',
    `a start probe failed: ${failed.map(({ name, detail }) => `${name} (${detail})`).join('; ')}`,
    'the command did not start; run `sand doctor`, and report this with its output',
    { details: { failed } },
  );
}
