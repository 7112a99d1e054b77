/**
 * Everything that a run of `sand ci` found, as its reports tell it. Puts together what others have decided. Pure.
 */
import type { RunTotals } from '../../audit/event.ts';
import type { Use } from '../../audit/usage.ts';
import type { CeilingCut } from '../run/ceiling-cuts.ts';
import type { CiDenial } from './denials.ts';
import type { Drift } from './drift.ts';
import type { FailOn } from './fail-on.ts';

/** `none`: there is none; `compared`; `written`: a new one; `unchanged`: the new one would be the same; `kept`: it could not be written, or the run did not end well. */
export type BaselineState = 'none' | 'compared' | 'written' | 'unchanged' | 'kept';

export interface CiOutcome {
  readonly run: string;
  readonly command: readonly string[];
  readonly exitCode: number;
  /** How the run itself ended, before anything was compared. */
  readonly ended: { readonly exitCode: number; readonly cause: string; readonly durationMs: number };
  /** Requests by what became of them, without what is muted. */
  readonly totals: RunTotals;
  readonly denied: readonly CiDenial[];
  readonly drift: readonly Drift[];
  readonly used: readonly Use[];
  readonly failOn: readonly FailOn[];
  readonly baseline: { readonly file: string | null; readonly state: BaselineState };
  readonly policy: {
    readonly name: string;
    readonly digest: string;
    readonly mode: string;
    readonly layers: readonly string[];
    /** Where a rule would stand; null where only presets and flags speak. */
    readonly file: string | null;
  };
  readonly ceiling: { readonly files: readonly string[]; readonly cuts: readonly CeilingCut[] };
  readonly notices: readonly string[];
  /** What went wrong in sand, first what ended the run. */
  readonly errors: readonly { readonly code: string; readonly message: string; readonly hint: string }[];
  readonly auditLog: string;
}
