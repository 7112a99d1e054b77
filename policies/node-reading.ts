/**
 * Takes values out of a policy tree: each function gives the value, or null after it has reported what stands
 * there instead. What a key means is for `decode.ts` and `decode-rule.ts`.
 */
import type { MapEntry, PolicyNode, ScalarNode } from './document-tree.ts';
import type { IssueList } from './issue.ts';
import { closestWord } from './spelling.ts';

/** Keys of one place of the language. */
export interface KeyTable {
  /** What a person calls the place: "a rule". */
  readonly place: string;
  readonly known: readonly string[];
  /** Keys that belong to the language and that this version cannot enforce. */
  readonly later: readonly string[];
}

/** The entries of a map by key, after unknown and unsupported keys are reported; null where there is no map. */
export function readMap(
  node: PolicyNode,
  table: KeyTable,
  issues: IssueList,
): ReadonlyMap<string, MapEntry> | null {
  if (node.kind !== 'map') {
    issues.error(
      node.at,
      `${table.place} is a map of keys, and here stands ${describe(node)}`,
      sampleKeys(table),
    );
    return null;
  }
  const entries = new Map<string, MapEntry>();
  for (const entry of node.entries) {
    if (table.known.includes(entry.key)) entries.set(entry.key, entry);
    else if (table.later.includes(entry.key)) {
      // Fail closed: a key that is not enforced would be read by a reviewer as if it were.
      issues.error(
        entry.at,
        `"${entry.key}" in ${table.place} is not supported by this version of sand`,
        'Remove the key; the rule then holds without it.',
      );
    } else {
      const close = closestWord(entry.key, [...table.known, ...table.later]);
      const hint = close === null ? sampleKeys(table) : `Did you mean "${close}"?`;
      issues.error(entry.at, `${table.place} has no key "${shorten(entry.key)}"`, hint);
    }
  }
  return entries;
}

/** A list, or a single value as the list of itself. An empty list says nothing and is refused. */
export function readList(entry: MapEntry, issues: IssueList): readonly PolicyNode[] | null {
  if (entry.value.kind !== 'list') return [entry.value];
  if (entry.value.items.length > 0) return entry.value.items;
  issues.error(entry.value.at, `"${entry.key}" is an empty list`, 'Leave the key out, or name something.');
  return null;
}

export function readText(key: string, node: PolicyNode, issues: IssueList): string | null {
  if (node.kind === 'scalar' && typeof node.value === 'string') return node.value;
  const number = node.kind === 'scalar' && node.value !== null;
  issues.error(
    node.at,
    `"${key}" is text, and here stands ${describe(node)}`,
    number ? `Quote it: "${shorten(node.source)}".` : `Write ${key}: followed by text.`,
  );
  return null;
}

/** One of a few words. */
export function readWord<T extends string>(
  key: string,
  node: PolicyNode,
  words: readonly T[],
  issues: IssueList,
): T | null {
  const found = words.find((word) => node.kind === 'scalar' && node.value === word);
  if (found !== undefined) return found;
  const written = node.kind === 'scalar' ? shorten(String(node.value)) : describe(node);
  issues.error(
    node.at,
    `"${key}" cannot be ${written}`,
    `Write ${words.map((word) => `"${word}"`).join(' or ')}.`,
  );
  return null;
}

/** A whole number written in decimal digits. */
export function wholeNumber(node: PolicyNode): number | null {
  if (node.kind !== 'scalar' || typeof node.value !== 'number') return null;
  return /^(0|[1-9]\d*)$/.test(node.source) && Number.isSafeInteger(node.value) ? node.value : null;
}

export function describe(node: PolicyNode): string {
  if (node.kind === 'map') return 'a map';
  if (node.kind === 'list') return 'a list';
  return describeScalar(node);
}

function describeScalar({ value, source }: ScalarNode): string {
  if (value === null) return 'nothing';
  if (typeof value === 'string') return `the text "${shorten(value)}"`;
  return typeof value === 'number' ? `the number ${shorten(source)}` : `the word ${shorten(source)}`;
}

/** Text of a file inside a message: one line, of bounded length. */
export function shorten(text: string): string {
  const line = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
  return line.length > 80 ? `${line.slice(0, 77)}...` : line;
}

function sampleKeys({ known }: KeyTable): string {
  return `Its keys are ${known.join(', ')}.`;
}
