/** What `sand ci` tells people on stderr, beside what every run tells: cuts of a ceiling, drift, and a new baseline. */
import { escapeTerminal } from '../../../audit/escape.ts';
import type { BaselineChange } from '../../ci/baseline-change.ts';
import type { Drift } from '../../ci/drift.ts';
import { authorityOf, describeDrift } from '../../ci/drift-text.ts';
import { CI_LIMITS } from '../../ci/limits.ts';
import { type CeilingCut, describeCut } from '../../run/ceiling-cuts.ts';
import type { BaselineUpdate } from './update.ts';

type Tell = (text: string) => void;

export function tellDrift(drift: readonly Drift[], tell: Tell): void {
  tellList(`drift from the baseline, ${drift.length} in all:`, drift.map(describeDrift), tell);
}

export function tellCuts(cuts: readonly CeilingCut[], tell: Tell): void {
  tellList('the ceiling cuts what the policy asks for:', cuts.map(describeCut), tell);
}

export function tellUpdate(file: string, { state, changes }: BaselineUpdate, tell: Tell): void {
  const ends = {
    kept: 'is left as it was, since the run did not end well',
    unchanged: 'says so already',
    written: `is written: ${changes.length} changed`,
  } as const;
  tellList(`${file} ${ends[state]}`, changes.map(describeChange), tell, true);
}

function describeChange({ sign, entry }: BaselineChange): string {
  if ('reason' in entry) return `${sign} denied ${authorityOf(entry)}, ${entry.reason}`;
  const { bytesOut, bytesIn, rules } = entry;
  return `${sign} ${authorityOf(entry)}, ${bytesOut} out, ${bytesIn} in, by ${rules.length === 0 ? 'no rule' : rules.join(', ')}`;
}

function tellList(head: string, lines: readonly string[], tell: Tell, always = false): void {
  if (lines.length === 0 && !always) return;
  tell(`sand: ${escapeTerminal(head)}\n`);
  for (const line of lines.slice(0, CI_LIMITS.told)) tell(`  ${escapeTerminal(line)}\n`);
  if (lines.length > CI_LIMITS.told) tell(`  and ${lines.length - CI_LIMITS.told} more\n`);
}
