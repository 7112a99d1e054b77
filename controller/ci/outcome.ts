/**
 * Everything that a run of `sand ci` found, as its reports tell it. Puts together what others have decided. Pure.
 */
import type { Row } from '../../audit/summary.ts';
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
  readonly totals: {
    readonly denied: number;
    readonly wouldBeDenied: number;
    readonly failed: number;
    readonly allowed: number;
    readonly bytesOut: number;
    readonly bytesIn: number;
  };
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

export function totalsOf(rows: readonly Row[]): CiOutcome['totals'] {
  const guests = rows.filter(({ asker, muted }) => asker === 'guest' && !muted);
  const count = (wanted: Row['verdict']): number =>
    guests.reduce((total, { verdict, count }) => total + (verdict === wanted ? count : 0), 0);
  const moved = (field: 'bytesOut' | 'bytesIn'): number =>
    guests.reduce((total, row) => total + row[field], 0);
  return {
    denied: count('denied'),
    wouldBeDenied: count('would-be-denied'),
    failed: count('failed'),
    allowed: count('allowed'),
    bytesOut: moved('bytesOut'),
    bytesIn: moved('bytesIn'),
  };
}
