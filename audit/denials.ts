/**
 * The short block at the end of a run: what was denied, why, and the line that would allow it. Says nothing
 * when there is nothing to say. Pure.
 */
import { REASONS } from '../policies/reasons.ts';
import { PLAIN, paint, type Terminal } from './columns.ts';
import { escapeTerminal } from './escape.ts';
import { DENIALS_LIMITS } from './limits.ts';
import type { Row, RowVerdict } from './summary.ts';
import { formatAuthority, formatRulePlace } from './table.ts';

export interface DenialsOptions {
  /** The run, for the command that shows everything. */
  readonly run: string;
  readonly terminal?: Terminal;
}

/**
 * Text for stderr, ending in a newline; empty when no guest was denied anything that is not muted. Rows as
 * `Summary.rows` orders them.
 */
export function formatDenials(rows: readonly Row[], options: DenialsOptions): string {
  const ours = rows.filter((row) => row.asker === 'guest' && !row.muted);
  const denied = ours.filter((row) => row.verdict === 'denied');
  const would = ours.filter((row) => row.verdict === 'would-be-denied');
  const shownDenied = denied.slice(0, DENIALS_LIMITS.hosts);
  const shownWould = would.slice(0, DENIALS_LIMITS.hosts - shownDenied.length);
  const more = denied.length + would.length - shownDenied.length - shownWould.length;
  if (denied.length + would.length === 0) return '';
  const lines = [
    ...formatGroup('denied', denied.length, shownDenied, options),
    ...formatGroup('would-be-denied', would.length, shownWould, options),
    ...(more > 0 ? [`  and ${more} more`] : []),
    `see all: sand audit ${escapeTerminal(options.run)}`,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function formatGroup(
  verdict: RowVerdict,
  count: number,
  shown: readonly Row[],
  options: DenialsOptions,
): readonly string[] {
  if (count === 0) return [];
  const colour = (options.terminal ?? PLAIN).colour;
  const what = count === 1 ? '1 destination' : `${count} destinations`;
  const verb =
    verdict === 'denied'
      ? count === 1
        ? 'was denied'
        : 'were denied'
      : 'would have been denied (report mode)';
  const head = `sand: ${what} ${verb}`;
  return [
    colour ? paint(verdict === 'denied' ? 'red' : 'yellow', head) : head,
    ...shown.flatMap((row) => formatDenial(row)),
  ];
}

function formatDenial(row: Row): readonly string[] {
  const times = row.count > 1 ? `, ${row.count} times` : '';
  const rule = row.rule === null ? '' : ` (${formatRulePlace(row.rule)})`;
  const lines = [`  ${formatAuthority(row)}: ${REASONS[row.reason]}${rule}${times}`];
  if (row.detail !== null) lines.push(`    ${row.detail}`);
  if (row.suggestion !== null) lines.push(`    ${formatSuggestion(row.suggestion)}`);
  else lines.push(...formatQuestion(row));
  return lines.map(escapeTerminal);
}

/** Where no line is known that would allow it: the command that says what decided, and what could be done. */
function formatQuestion(row: Row): readonly string[] {
  if (row.port === null || row.port === 0 || !/^[A-Za-z0-9._-]+$/.test(row.host)) return [];
  return [`    why: sand why ${row.host}:${row.port}`];
}

/** A rule to paste, or a question about the pattern that was meant. */
function formatSuggestion(suggestion: string): string {
  return suggestion.startsWith('- ') ? `to allow it: ${suggestion}` : suggestion;
}
