/** The files that docs/coding-agents.md shows, each by the name that stands before it there. */
import { readFileSync } from 'node:fs';

const PAGE = new URL('../../../docs/coding-agents.md', import.meta.url);
const NAMED = /^`([^`\n]+)`[^\n]*:?[^\n]*\n\n```(?:yaml|dockerfile)\n([\s\S]*?)^```$/gm;

export function agentFiles(): Readonly<Record<string, string>> {
  const found = [...readFileSync(PAGE, 'utf8').matchAll(NAMED)];
  return Object.fromEntries(found.map(([, name = '', text = '']) => [name, text]));
}
