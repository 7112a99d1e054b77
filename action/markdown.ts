/**
 * Makes text from a guest safe for GitHub's Markdown: no markup, no link, no mention, no cell of its own, and bounded. What is
 * said with it is `summary.ts`. Pure.
 */
import { clipText, escapeTerminal } from '../audit/escape.ts';
import { LIMITS } from './limits.ts';

/**
 * Entities build no markup, and neither mentions nor references are looked for in code. So `@`, `#`, `www.`, pipes and tags
 * are what they look like.
 */
export function code(text: string): string {
  const shown = escapeTerminal(clipText(text, LIMITS.textCharacters));
  return shown === '' ? '' : `<code>${shown.replace(/[^\p{L}\p{N} ]/gu, toEntity)}</code>`;
}

function toEntity(character: string): string {
  return `&#${character.codePointAt(0) ?? 32};`;
}

/** Cells are Markdown already. Rows that find no room are counted. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], limit: number): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  let text = line(head) + line(head.map(() => '---'));
  let shown = 0;
  for (const row of rows.slice(0, LIMITS.rows)) {
    const next = line(row);
    if (text.length + next.length > limit) break;
    text += next;
    shown += 1;
  }
  return shown === rows.length ? text : `${text}\nand ${rows.length - shown} more, in the report.\n`;
}

export function folded(title: string, content: string): string {
  return content === '' ? '' : `<details><summary>${title}</summary>\n\n${content}\n</details>\n`;
}
