/** The rows of a summary as a table for a terminal: which columns, and in which words. Pure. */
import { type Colour, type Column, formatColumns, PLAIN, type Terminal } from './columns.ts';
import type { RuleFact } from './event.ts';
import type { InboundRow } from './inbound.ts';
import type { Row, RowVerdict } from './summary.ts';

export const VERDICT_TEXT: Readonly<Record<RowVerdict, string>> = {
  denied: 'denied',
  'would-be-denied': 'would be denied',
  failed: 'failed',
  allowed: 'allowed',
};

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

const PROCESS_COLUMN: Column<Row> = {
  title: 'PROCESS',
  align: 'left',
  cell: (row) => row.process ?? '-',
  cut: { keep: 'start', least: 8, weight: 2 },
};

/** The table, each line ended by a newline; empty for no rows. */
export function formatTable(rows: readonly Row[], terminal: Terminal = PLAIN): string {
  const hasProcesses = rows.some((row) => row.process !== undefined);
  return formatColumns(hasProcesses ? [PROCESS_COLUMN, ...COLUMNS] : COLUMNS, rows, terminal);
}

const INBOUND_COLUMNS: readonly Column<InboundRow>[] = [
  {
    title: 'INBOUND',
    align: 'left',
    cell: (row) => row.disposition,
    colour: (row) => (row.disposition === 'refused' ? 'red' : null),
  },
  { title: 'AT', align: 'left', cell: (row) => formatAuthority({ host: row.address, port: row.port }) },
  { title: 'GUEST PORT', align: 'right', cell: (row) => String(row.guestPort) },
  { title: 'COUNT', align: 'right', cell: (row) => String(row.count) },
  { title: 'OUT', align: 'right', cell: (row) => formatMoved(row.bytesOut) },
  { title: 'IN', align: 'right', cell: (row) => formatMoved(row.bytesIn) },
  {
    title: 'REASON',
    align: 'left',
    cell: (row) => row.reason ?? '-',
    cut: { keep: 'start', least: 8, weight: 1 },
  },
];

/** What came in over published ports, in the same way. */
export function formatInbound(rows: readonly InboundRow[], terminal: Terminal = PLAIN): string {
  return formatColumns(INBOUND_COLUMNS, rows, terminal);
}

/** `host:port`, IPv6 in brackets. */
export function formatAuthority(at: { readonly host: string; readonly port: number | null }): string {
  if (at.port === null) return at.host;
  return at.host.includes(':') ? `[${at.host}]:${at.port}` : `${at.host}:${at.port}`;
}

/** `file:line`; a flag or preset without lines is its name alone. */
export function formatRulePlace(rule: RuleFact | null): string {
  if (rule === null) return '-';
  return rule.line > 0 ? `${rule.file}:${rule.line}` : rule.file;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1] ?? ''}`;
}

/** Nothing moved is nothing to read. */
export function formatMoved(bytes: number): string {
  return bytes === 0 ? '-' : formatBytes(bytes);
}

function formatHow(row: Row): string {
  const how = row.how.join('+');
  return row.asker === 'host' ? `${how} (host)` : how;
}

function formatReason(row: Row): string {
  return row.endings.length === 0 ? row.reason : `${row.reason}, ended: ${row.endings.join(', ')}`;
}
