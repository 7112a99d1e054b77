/** The rows of a summary as a table for a terminal: which columns, and in which words. Pure. */
import { type Colour, type Column, formatColumns, PLAIN, type Terminal } from './columns.ts';
import { formatAuthority, formatBytes, formatRulePlace, VERDICT_TEXT } from './phrases.ts';
import type { Row, RowVerdict } from './summary.ts';

export { formatAuthority, formatBytes, formatRulePlace, VERDICT_TEXT };

export const VERDICT_COLOURS: Readonly<Record<RowVerdict, Colour>> = {
  denied: 'red',
  'would-be-denied': 'yellow',
  failed: 'magenta',
  allowed: 'green',
};

const COLUMNS: readonly Column<Row>[] = [
  {
    title: 'VERDICT',
    align: 'left',
    cell: (row) => VERDICT_TEXT[row.verdict],
    colour: (row) => (row.muted ? 'gray' : VERDICT_COLOURS[row.verdict]),
  },
  { title: 'HOST', align: 'left', cell: formatAuthority, cut: { keep: 'start', least: 10, weight: 3 } },
  { title: 'HOW', align: 'left', cell: formatHow, cut: { keep: 'start', least: 5, weight: 1 } },
  { title: 'COUNT', align: 'right', cell: (row) => String(row.count) },
  { title: 'OUT', align: 'right', cell: (row) => formatMoved(row.bytesOut) },
  { title: 'IN', align: 'right', cell: (row) => formatMoved(row.bytesIn) },
  { title: 'REASON', align: 'left', cell: formatReason, cut: { keep: 'start', least: 8, weight: 1 } },
  {
    title: 'RULE',
    align: 'left',
    cell: (row) => formatRulePlace(row.rule),
    cut: { keep: 'end', least: 6, weight: 1 },
  },
];

/** The table, each line ended by a newline; empty for no rows. */
export function formatTable(rows: readonly Row[], terminal: Terminal = PLAIN): string {
  return formatColumns(COLUMNS, rows, terminal);
}

/** Nothing moved is nothing to read. */
function formatMoved(bytes: number): string {
  return bytes === 0 ? '-' : formatBytes(bytes);
}

function formatHow(row: Row): string {
  const how = row.how.join('+');
  return row.asker === 'host' ? `${how} (host)` : how;
}

function formatReason(row: Row): string {
  return row.endings.length === 0 ? row.reason : `${row.reason}, ended: ${row.endings.join(', ')}`;
}
