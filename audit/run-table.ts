/** Runs as a table for a terminal: which columns, in which words, and which of them a narrow terminal goes without. Pure. */
import { type Column, formatColumns, PLAIN, type Terminal } from './columns.ts';
import type { RunTotals } from './event.ts';
import type { ListedRun } from './run-listing.ts';
import { formatAuthority, formatMoved } from './table.ts';
import { displayWidth } from './width.ts';

/** What is not in the log: whether somebody still writes it. */
export interface ShownRun extends ListedRun {
  readonly running: boolean;
}

/** Each line ended by a newline; empty for no runs. */
export function formatRuns(runs: readonly ShownRun[], terminal: Terminal = PLAIN): string {
  const { columns: width } = terminal;
  const fitting = FORGONE.find((forgone) => {
    const plain = formatColumns(columnsOf(runs, forgone), runs, { columns: width, colour: false });
    return width === null || plain.split('\n').every((line) => displayWidth(line) <= width);
  });
  return formatColumns(columnsOf(runs, fitting ?? FORGONE.at(-1) ?? []), runs, terminal);
}

/** What a terminal goes without, the less of it the better. */
const FORGONE: readonly (readonly string[])[] = [
  [],
  ['OUT', 'IN'],
  ['OUT', 'IN', 'TIME'],
  ['OUT', 'IN', 'TIME', 'COMMAND'],
];

function columnsOf(runs: readonly ShownRun[], forgone: readonly string[]): readonly Column<ShownRun>[] {
  const has = (field: 'wouldBeDenied' | 'failed') => runs.some(({ totals }) => (totals?.[field] ?? 0) > 0);
  const isNamed = runs.some(({ run, guest }) => run !== guest);
  return [
    RUN,
    ...(isNamed ? [GUEST] : []),
    EXIT,
    TIME,
    count('DENIED', 'denied', 'red'),
    ...(has('wouldBeDenied') ? [count('WOULD BE', 'wouldBeDenied', 'yellow')] : []),
    ...(has('failed') ? [count('FAILED', 'failed', 'magenta')] : []),
    count('ALLOWED', 'allowed', null),
    moved('OUT', 'bytesOut'),
    moved('IN', 'bytesIn'),
    TOP_DENIED,
    COMMAND,
  ].filter(({ title }) => !forgone.includes(title));
}

const RUN: Column<ShownRun> = { title: 'RUN', align: 'left', cell: ({ run }) => run };

const GUEST: Column<ShownRun> = {
  title: 'GUEST',
  align: 'left',
  cell: ({ run, guest }) => (guest === run ? '-' : guest),
  cut: { keep: 'start', least: 6, weight: 1 },
};

const EXIT: Column<ShownRun> = {
  title: 'EXIT',
  align: 'right',
  cell: ({ exitCode, running }) => (running ? 'running' : exitCode === null ? 'no seal' : String(exitCode)),
  colour: ({ exitCode, running }) => (!running && exitCode === null ? 'yellow' : null),
};

const TIME: Column<ShownRun> = {
  title: 'TIME',
  align: 'right',
  cell: ({ durationMs }) => (durationMs === null ? '-' : formatDuration(durationMs)),
};

const TOP_DENIED: Column<ShownRun> = {
  title: 'TOP DENIED',
  align: 'left',
  cell: ({ totals }) => formatDenied(totals),
  cut: { keep: 'start', least: 10, weight: 2 },
};

const COMMAND: Column<ShownRun> = {
  title: 'COMMAND',
  align: 'left',
  cell: ({ command }) => command.join(' '),
  cut: { keep: 'start', least: 10, weight: 2 },
};

function count(
  title: string,
  field: 'denied' | 'wouldBeDenied' | 'failed' | 'allowed',
  colour: 'red' | 'yellow' | 'magenta' | null,
): Column<ShownRun> {
  return {
    title,
    align: 'right',
    cell: ({ totals }) => (totals === null ? '-' : String(totals[field])),
    colour: ({ totals }) => ((totals?.[field] ?? 0) > 0 ? colour : null),
  };
}

function moved(title: string, field: 'bytesOut' | 'bytesIn'): Column<ShownRun> {
  return { title, align: 'right', cell: ({ totals }) => formatMoved(totals?.[field] ?? 0) };
}

function formatDenied(totals: RunTotals | null): string {
  const [first] = totals?.topDenied ?? [];
  if (first === undefined || totals === null) return '-';
  const others = totals.topDenied.length - 1;
  const times = first.count > 1 ? ` (${first.count})` : '';
  return `${formatAuthority(first)}${times}${others > 0 ? `, ${others} more` : ''}`;
}

/** `0.8 s`, `4m05s`, `2h03m`, `3d04h`. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, durationMs) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const two = (number: number) => String(Math.floor(number)).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h${two((seconds % 3600) / 60)}m`;
  return `${Math.floor(seconds / 86_400)}d${two((seconds % 86_400) / 3600)}h`;
}
