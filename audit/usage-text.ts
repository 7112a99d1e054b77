/** How two runs differ, as lines for a terminal. Pure. */
import { type Colour, PLAIN, paint, type Terminal } from './columns.ts';
import { escapeTerminal } from './escape.ts';
import { formatAuthority, formatBytes, VERDICT_TEXT } from './table.ts';
import type { UsageDiff, Use, UseChange, UseDifference } from './usage.ts';

/** A line a difference: `+` new, `-` vanished, `~` changed. Empty where there is none. */
export function formatUsageDiff(diff: UsageDiff, terminal: Terminal = PLAIN): string {
  const lines: readonly (readonly [Colour, string])[] = [
    ...diff.appeared.map((use) => ['green', `+ ${formatUse(use)}`] as const),
    ...diff.vanished.map((use) => ['red', `- ${formatUse(use)}`] as const),
    ...diff.changed.map((change) => ['yellow', `~ ${formatChange(change)}`] as const),
  ];
  return lines
    .map(([colour, line]) => {
      const text = escapeTerminal(line);
      return `${terminal.colour ? paint(colour, text) : text}\n`;
    })
    .join('');
}

function formatUse(use: Use): string {
  const times = use.count > 1 ? `, ${use.count} times` : '';
  const isMoved = use.bytesOut + use.bytesIn > 0;
  const bytes = isMoved ? `, ${formatBytes(use.bytesOut)} out, ${formatBytes(use.bytesIn)} in` : '';
  return `${placeOf(use)}: ${VERDICT_TEXT[use.verdict]}${rulesOf(use)}${times}${bytes}`;
}

function formatChange({ before, after, differs }: UseChange): string {
  const texts: Readonly<Record<UseDifference, string>> = {
    verdict: `${VERDICT_TEXT[before.verdict]}, now ${VERDICT_TEXT[after.verdict]}${rulesOf(after)}`,
    rules: `by ${namesOf(before)}, now by ${namesOf(after)}`,
    bytesOut: `${formatBytes(before.bytesOut)} out, now ${formatBytes(after.bytesOut)}`,
    bytesIn: `${formatBytes(before.bytesIn)} in, now ${formatBytes(after.bytesIn)}`,
  };
  // The rule is told with the verdict that it gave.
  const told = differs.filter((one) => one !== 'rules' || !differs.includes('verdict'));
  return `${placeOf(after)}: ${told.map((one) => texts[one]).join('; ')}`;
}

function placeOf({ host, port, protocol }: Use): string {
  return `${formatAuthority({ host, port })} ${protocol}`;
}

function rulesOf({ rules }: Use): string {
  return rules.length === 0 ? '' : ` by ${rules.join(', ')}`;
}

function namesOf({ rules }: Use): string {
  return rules.length === 0 ? 'no rule' : rules.join(', ');
}
