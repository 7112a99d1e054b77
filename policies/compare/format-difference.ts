/** A difference as text for a terminal, or as Markdown for a review. */
import type { PolicyDifference } from './difference.ts';

export interface DifferenceStyle {
  readonly style: 'text' | 'markdown';
  /** What the two are called, for the heading of the Markdown. */
  readonly names?: { readonly before: string; readonly after: string };
}

export function formatDifference(_difference: PolicyDifference, _style: DifferenceStyle): string {
  throw new Error('a difference cannot be told yet');
}
