/** What makes a run of `sand ci` fail, and with which exit code. Pure. */
import { usage } from '../run/options.ts';

export const FAIL_ON = ['denied', 'drift', 'ceiling', 'none'] as const;
export type FailOn = Exclude<(typeof FAIL_ON)[number], 'none'>;

/** The command ended well, and something was denied, or the policy asks for more than the ceiling. */
export const DENIED_EXIT = 120;
export const DRIFT_EXIT = 121;

/** `denied,drift`; null where the flag is not given. */
export function parseFailOn(text: string | undefined): ReadonlySet<FailOn> | null {
  if (text === undefined) return null;
  const words = text.split(',').map((word) => {
    const found = FAIL_ON.find((known) => known === word.trim());
    if (found !== undefined) return found;
    throw usage(`--fail-on ${text}: there is no such kind`, `write one or several of: ${FAIL_ON.join(', ')}`);
  });
  if (words.includes('none') && words.length > 1)
    throw usage(`--fail-on ${text}: none stands alone`, 'leave out none, or the others');
  return new Set(words.filter((word) => word !== 'none'));
}

/**
 * Without a word of the caller: drift where there is something to drift from, which covers every denial that is not
 * recorded; else denials. Who records a new baseline has asked for what there is.
 */
export function defaultFailOn(hasBaseline: boolean, isUpdate: boolean): ReadonlySet<FailOn> {
  if (isUpdate) return new Set();
  return new Set([hasBaseline ? 'drift' : 'denied']);
}

export interface CiFindings {
  /** What the run itself ended with: the command's own code, or what sand makes of its end. */
  readonly exitCode: number;
  /** Whether a step of the teardown failed. */
  readonly isLeftover: boolean;
  readonly denied: number;
  readonly drift: number;
  readonly cuts: number;
}

/** The first that holds: the run's own code, sand's failure, denials (and the ceiling), drift. */
export function ciExitCode(findings: CiFindings, failOn: ReadonlySet<FailOn>): number {
  if (findings.exitCode !== 0) return findings.exitCode;
  if (findings.isLeftover) return 125;
  if (failOn.has('denied') && findings.denied > 0) return DENIED_EXIT;
  if (failOn.has('ceiling') && findings.cuts > 0) return DENIED_EXIT;
  if (failOn.has('drift') && findings.drift > 0) return DRIFT_EXIT;
  return 0;
}
