/**
 * Values in columns for a terminal. Decides widths and what is cut; every cell is escaped here, so that no
 * text of a guest reaches a terminal raw. Pure.
 */
import { styleText } from 'node:util';
import { escapeTerminal } from './escape.ts';
import { displayWidth, fitEnd, fitStart, padEnd, padStart } from './width.ts';

/** How the place that text goes to looks. */
export interface Terminal {
  /** Null: not a terminal, nothing is cut. */
  readonly columns: number | null;
  readonly colour: boolean;
}

/** No terminal: a pipe, a file. */
export const PLAIN: Terminal = { columns: null, colour: false };

export type Colour = Extract<Parameters<typeof styleText>[0], string>;

export interface Column<T> {
  readonly title: string;
  readonly align: 'left' | 'right';
  readonly cell: (row: T) => string;
  readonly colour?: (row: T) => Colour | null;
  /** Whether the column may be cut, which end stays, how little of it is of use, and how dear each column of it is. */
  readonly cut?: { readonly keep: 'start' | 'end'; readonly least: number; readonly weight: number };
}

const GAP = '  ';

/** A title line and one line a row, each ended by a newline; empty for no rows. */
export function formatColumns<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  terminal: Terminal,
): string {
  if (rows.length === 0) return '';
  const titles = columns.map((column) => column.title);
  const cells = rows.map((row) => columns.map((column) => escapeTerminal(column.cell(row))));
  const natural = columns.map((_, i) =>
    [titles, ...cells].reduce((most, line) => Math.max(most, displayWidth(line[i] ?? '')), 0),
  );
  const widths = fitWidths(columns, natural, terminal.columns);
  const head = formatLine(columns, titles, widths, () => null);
  const body = rows.map((row, i) =>
    formatLine(columns, cells[i] ?? [], widths, ({ colour }) =>
      terminal.colour ? (colour?.(row) ?? null) : null,
    ),
  );
  return [terminal.colour ? paint('bold', head) : head, ...body].map((line) => `${line}\n`).join('');
}

/** Whether to colour what goes to this stream. `NO_COLOR` counts when it is not empty (no-color.org). */
export function wantsColour(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  return stream.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}

/** Colours text, whatever the process's own streams are. */
export function paint(colour: Colour, text: string): string {
  return styleText(colour, text, { validateStream: false });
}

function formatLine<T>(
  columns: readonly Column<T>[],
  cells: readonly string[],
  widths: readonly number[],
  colourOf: (column: Column<T>) => Colour | null,
): string {
  return columns
    .map((column, i) => {
      const width = widths[i] ?? 0;
      const shorten = column.cut?.keep === 'end' ? fitEnd : fitStart;
      const text = shorten(cells[i] ?? '', width);
      const padded = column.align === 'right' ? padStart(text, width) : padEnd(text, width);
      const colour = colourOf(column);
      return colour === null ? padded : paint(colour, padded);
    })
    .join(GAP)
    .trimEnd();
}

/** Takes one place at a time from the column with most to spare for its weight, until the line fits. */
function fitWidths<T>(
  columns: readonly Column<T>[],
  natural: readonly number[],
  available: number | null,
): readonly number[] {
  if (available === null) return natural;
  // No cell needs more than the whole line, so the loop below is bounded by the terminal's width.
  const widths = natural.map((width, i) =>
    columns[i]?.cut === undefined ? width : Math.min(width, available),
  );
  const gaps = GAP.length * (columns.length - 1);
  let over = widths.reduce((sum, width) => sum + width, gaps) - available;
  for (; over > 0; over -= 1) {
    const spare = columns.map(({ cut }, i) =>
      cut === undefined ? 0 : ((widths[i] ?? 0) - cut.least) / cut.weight,
    );
    const most = Math.max(...spare);
    if (most <= 0) break;
    const column = spare.indexOf(most);
    widths[column] = (widths[column] ?? 0) - 1;
  }
  return widths;
}
