/**
 * Text from a guest inside Markdown that GitHub and GitLab show: always code, so that nothing in it is a link, a mention, an
 * issue, markup, or a command to a runner that reads what is printed. Pure.
 */
import { clipText, escapeTerminal } from './escape.ts';

/** Nothing of these ends a code span or a table cell, and without a `#` no command of a runner begins inside a line. */
const PLAIN = /^[A-Za-z0-9 ._/:,;=+(){}[\]'"%?^-]+$/;
/** A cell of a table that people read; longer texts are in the audit log. */
const CELL_CHARACTERS = 200;

/** A code span on one line, also inside a table. Empty text is an empty span of no width. */
export function markdownCode(text: string, limit: number = CELL_CHARACTERS): string {
  const shown = clipText(escapeTerminal(text), limit).trim();
  if (shown === '') return '';
  if (PLAIN.test(shown)) return `\`${shown}\``;
  return `<code>${asEntities(shown)}</code>`;
}

/** Text of sand's own, which is prose: what would be markup stands as entities. */
export function markdownText(text: string): string {
  return escapeTerminal(text).replace(/[^A-Za-z0-9 .,;:()'/+=-]/gu, toEntity);
}

/** Markdown is read inside inline HTML too, so everything but letters and digits is an entity. */
function asEntities(text: string): string {
  return text.replace(/[^A-Za-z0-9 ]/gu, toEntity);
}

function toEntity(character: string): string {
  return `&#${character.codePointAt(0) ?? 0};`;
}
