/**
 * Text from a guest inside Markdown that GitHub and GitLab show: always a code span, where nothing is a link, a mention, an
 * issue or markup; and no command to a runner that reads what is printed. Pure.
 */
import { clipText, escapeTerminal } from './escape.ts';

/** A cell of a table that people read; longer texts are in the audit log. */
const CELL_CHARACTERS = 200;

/**
 * A code span on one line, also inside a table; empty for text that is empty. What would end the span or the cell, and
 * the `##[` that begins a command anywhere in a line, are shown as escapes, as what moves a cursor is.
 */
export function markdownCode(text: string, limit: number = CELL_CHARACTERS): string {
  const shown = clipText(escapeTerminal(text), limit)
    .replaceAll('`', '\\x60')
    .replaceAll('|', '\\x7c')
    .replaceAll('##[', '#\\x23[')
    .trim();
  return shown === '' ? '' : `\`${shown}\``;
}

/** A sentence of sand's own: nothing in it is markup. */
export function markdownText(text: string): string {
  return escapeTerminal(text).replaceAll(/[\\`*_[\]<>|~&#@$]/g, '\\$&');
}
