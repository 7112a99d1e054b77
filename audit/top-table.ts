/** Hosts as a table for a terminal: which columns. Pure. */
import { type Column, formatColumns, PLAIN, type Terminal } from './columns.ts';
import { formatMoved } from './table.ts';
import type { TopResult, TopRow } from './top.ts';

/** The table, and what it does not show. */
export function formatTop({ rows, hosts, mutedCount }: TopResult, terminal: Terminal = PLAIN): string {
  const has = (field: 'wouldBeDenied' | 'failed') => rows.some((row) => row[field] > 0);
  const columns = [
    HOST,
    count('REQUESTS', 'requests', null),
    count('DENIED', 'denied', 'red'),
    ...(has('wouldBeDenied') ? [count('WOULD BE', 'wouldBeDenied', 'yellow')] : []),
    ...(has('failed') ? [count('FAILED', 'failed', 'magenta')] : []),
    count('ALLOWED', 'allowed', null),
    count('LOOKUPS', 'lookups', null),
    moved('OUT', 'bytesOut'),
    moved('IN', 'bytesIn'),
    LAST,
  ];
  const more = hosts - rows.length;
  return [
    rows.length === 0 ? 'No requests to show.\n' : formatColumns(columns, rows, terminal),
    more > 0 ? `and ${more} more ${more === 1 ? 'host' : 'hosts'} (--limit)\n` : '',
    mutedCount > 0 ? `${mutedCount} muted, not counted (--all counts them)\n` : '',
  ].join('');
}

const HOST: Column<TopRow> = {
  title: 'HOST',
  align: 'left',
  cell: ({ host }) => host,
  cut: { keep: 'start', least: 12, weight: 1 },
};

/** The day is that of the run; its time is what tells rows apart. */
const LAST: Column<TopRow> = { title: 'LAST', align: 'left', cell: ({ last }) => last.slice(11, 19) };

function count(
  title: string,
  field: 'requests' | 'denied' | 'wouldBeDenied' | 'failed' | 'allowed' | 'lookups',
  colour: 'red' | 'yellow' | 'magenta' | null,
): Column<TopRow> {
  return {
    title,
    align: 'right',
    cell: (row) => String(row[field]),
    colour: (row) => (row[field] > 0 ? colour : null),
  };
}

function moved(title: string, field: 'bytesOut' | 'bytesIn'): Column<TopRow> {
  return { title, align: 'right', cell: (row) => formatMoved(row[field]) };
}
