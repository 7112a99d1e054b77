/**
 * Insertions and removals in a text that keep its line ends and its comments. Knows lines, lists and brackets; what
 * is put where is for `edit.ts`.
 */
import type { ItemLayout, ListLayout } from '../document-layout.ts';

export interface Splice {
  readonly at: number;
  /** How many characters go. */
  readonly cut: number;
  readonly put: string;
}

/** The splices do not overlap; what is put at one place comes in their order. */
export function applySplices(text: string, splices: readonly Splice[]): string {
  let result = text;
  for (const { at, cut, put } of splices.toReversed().toSorted((a, b) => b.at - a.at)) {
    result = result.slice(0, at) + put + result.slice(at + cut);
  }
  return result;
}

/** What ends the lines of this text. */
export function lineEndOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

/** The end of the line that holds the last character before `offset`, before what ends the line. */
export function endOfLine(text: string, offset: number): number {
  const from = offset > 0 && text[offset - 1] === '\n' ? offset - 1 : offset;
  const newline = text.indexOf('\n', from);
  if (newline === -1) return text.length;
  return text[newline - 1] === '\r' ? newline - 1 : newline;
}

export function startOfLine(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

/** White space of the same width as what stands before `offset` in its line. */
export function indentAt(text: string, offset: number): string {
  return text.slice(startOfLine(text, offset), offset).replaceAll(/[^ ]/g, ' ').replace('\ufeff', '');
}

/** Lines below the line that `offset` ends in, each with this indentation. */
export function linesBelow(text: string, offset: number, indent: string, lines: readonly string[]): Splice {
  const newline = lineEndOf(text);
  return {
    at: endOfLine(text, offset),
    cut: 0,
    put: lines.map((line) => `${newline}${indent}${line}`).join(''),
  };
}

/** Further items at the end of a list in brackets that has some, each on its own line where the last one is. */
export function appendToFlow(text: string, list: ListLayout, items: readonly string[]): readonly Splice[] {
  const last = list.items.at(-1);
  if (last === undefined) return [{ at: list.end - 1, cut: 0, put: items.join(', ') }];
  const before = text.slice(startOfLine(text, last.start), last.start);
  if (before.trim() !== '') return [{ at: last.end, cut: 0, put: items.map((one) => `, ${one}`).join('') }];
  const trailing = /^\s*,/.exec(text.slice(last.end, list.end));
  const lines = items.map((one, at) => (at === items.length - 1 && trailing === null ? one : `${one},`));
  const comma = trailing === null ? [{ at: last.end, cut: 0, put: ',' }] : [];
  return [
    ...comma,
    linesBelow(text, Math.min(last.end + (trailing?.[0].length ?? 0), list.end - 1), before, lines),
  ];
}

/** An item with its line or its comma. */
export function removeItem(text: string, list: ListLayout, item: ItemLayout): Splice {
  if (!list.isFlow) return removeLines(text, item);
  const comma = /^\s*,[ \t]*/.exec(text.slice(item.end, list.end));
  if (comma !== null) return { at: item.start, cut: item.end + comma[0].length - item.start, put: '' };
  const previous = list.items[list.items.indexOf(item) - 1];
  const from = previous === undefined ? item.start : previous.end;
  return { at: from, cut: item.end - from, put: '' };
}

/** The lines of an item of a block, with a comment that stands behind it. */
function removeLines(text: string, item: ItemLayout): Splice {
  const end = endOfLine(text, item.end);
  const newline = /^\r?\n/.exec(text.slice(end, end + 2))?.[0].length ?? 0;
  const from = startOfLine(text, item.start);
  // At the end of a text without a last newline, the newline before goes instead.
  const before = newline === 0 ? (/\r?\n$/.exec(text.slice(0, from))?.[0].length ?? 0) : 0;
  return { at: from - before, cut: end + newline - from + before, put: '' };
}
