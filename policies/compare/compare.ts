/** Decides in what two policies differ. */
import type { PolicyInForce } from '../model.ts';
import type { PolicyDifference } from './difference.ts';

export interface CompareOptions {
  /** Rules that have passed their `until` by then allow nothing; without it: now. */
  readonly nowMs?: number;
}

export function comparePolicies(
  _before: PolicyInForce,
  _after: PolicyInForce,
  _options: CompareOptions = {},
): PolicyDifference {
  throw new Error('policies cannot be compared yet');
}
