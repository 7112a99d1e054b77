/**
 * Takes single values out of the tree of a project file: each function gives the value with its place, or null after it
 * has reported what stands there instead. Which keys there are is for `decode.ts`.
 */
import type { MapEntry, PolicyNode } from '../../policies/document-tree.ts';
import type { IssueList } from '../../policies/issue.ts';
import { describe, readList, shorten } from '../../policies/node-reading.ts';
import { SandError } from '../errors.ts';
import { PROJECT_LIMITS } from './limits.ts';
import type { Placed } from './model.ts';

/** As it is written: of an unquoted number or boolean the very characters, so that `1.50` and `true` are words. */
export function readWritten(key: string, node: PolicyNode, issues: IssueList): Placed<string> | null {
  if (node.kind !== 'scalar' || node.value === null) {
    issues.error(
      node.at,
      `"${key}" is text, and here stands ${describe(node)}`,
      `Write ${key}: followed by text.`,
    );
    return null;
  }
  const value = typeof node.value === 'string' ? node.value : node.source;
  if (value.length > PROJECT_LIMITS.textCharacters) {
    const most = PROJECT_LIMITS.textCharacters;
    issues.error(node.at, `"${key}" is longer than ${most} characters`, 'Shorten it.');
    return null;
  }
  // An escape in quotes can write what the text of the file itself cannot hold.
  if (value.includes('\0') || !value.isWellFormed()) {
    issues.error(node.at, `"${key}" holds a NUL or half a character`, 'Leave it out.');
    return null;
  }
  return { value, at: issues.origin(node.at) };
}

/** Text of one line that is not empty. */
export function readLine(key: string, node: PolicyNode, issues: IssueList): Placed<string> | null {
  const text = readWritten(key, node, issues);
  if (text === null) return null;
  if (text.value.trim() !== '' && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text.value)) return text;
  issues.error(node.at, `"${key}" is empty, or holds what no line does`, 'Write one line of text.');
  return null;
}

export function readSwitch(
  key: string,
  { value: node }: MapEntry,
  issues: IssueList,
): Placed<boolean> | null {
  if (node.kind === 'scalar' && typeof node.value === 'boolean') {
    return { value: node.value, at: issues.origin(node.at) };
  }
  issues.error(
    node.at,
    `"${key}" is true or false, and here stands ${describe(node)}`,
    `Write ${key}: true.`,
  );
  return null;
}

/** Each item of a list, or the one value as a list of itself. */
export function readItems<T>(
  entry: MapEntry | undefined,
  issues: IssueList,
  read: (node: PolicyNode) => T | null,
): readonly T[] {
  const nodes = entry === undefined ? null : readList(entry, issues);
  if (entry === undefined || nodes === null) return [];
  if (nodes.length > PROJECT_LIMITS.entries) {
    const most = PROJECT_LIMITS.entries;
    issues.error(entry.value.at, `"${entry.key}" has more than ${most} entries`, 'Name fewer.');
    return [];
  }
  return nodes.map(read).filter((item) => item !== null);
}

/** What a flag's parser makes of a text; what it raises becomes an issue at the text's place. */
export function parsed<T>(node: PolicyNode, issues: IssueList, parse: () => T): T | null {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof SandError)) throw error;
    const hint = `${error.hint.charAt(0).toUpperCase()}${error.hint.slice(1)}.`;
    issues.error(node.at, shorten(error.message), hint);
    return null;
  }
}

/** A path that a shell would have expanded, and sand does not. */
export function isExpandable(path: string): boolean {
  return path.startsWith('~') || path.includes('$');
}

/** One line that is a path, and no shell's. */
export function readPath(key: string, node: PolicyNode, issues: IssueList): Placed<string> | null {
  const text = readLine(key, node, issues);
  if (text === null || !isExpandable(text.value)) return text;
  issues.error(
    node.at,
    `"${shorten(text.value)}" is not expanded, as a shell would`,
    'Write the path out, absolute or relative to this file.',
  );
  return null;
}
