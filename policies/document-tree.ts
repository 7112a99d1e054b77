/** Nodes of the YAML library → plain values with their places. Which text is read at all is for `document.ts`. */
import type * as yaml from 'yaml';
import type { IssueList, Position } from './issue.ts';
import type { LineTable } from './line-table.ts';

export type YamlLibrary = typeof yaml;

export type PolicyNode = MapNode | ListNode | ScalarNode;

export interface MapNode {
  readonly kind: 'map';
  readonly at: Position;
  readonly entries: readonly MapEntry[];
}

export interface MapEntry {
  readonly key: string;
  readonly at: Position;
  readonly value: PolicyNode;
}

export interface ListNode {
  readonly kind: 'list';
  readonly at: Position;
  readonly items: readonly PolicyNode[];
}

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly at: Position;
  readonly value: string | number | boolean | null;
  /** As written, without quotes: tells `0o17` from `15`. */
  readonly source: string;
}

export function convertTree(
  library: YamlLibrary,
  node: yaml.Node | null,
  lines: LineTable,
  issues: IssueList,
  depth: number,
): PolicyNode {
  const at = lines.at(node?.range?.[0] ?? 0);
  const nothing: ScalarNode = { kind: 'scalar', at, value: null, source: '' };
  if (node === null) return nothing;
  if (library.isMap(node)) {
    return { kind: 'map', at, entries: convertEntries(library, node.items, lines, issues, depth) };
  }
  if (library.isSeq(node)) {
    const items = node.items.map((item) =>
      convertTree(library, library.isNode(item) ? item : null, lines, issues, depth + 1),
    );
    return { kind: 'list', at, items };
  }
  const value: unknown = library.isScalar(node) ? node.value : undefined;
  if (
    value === null ||
    typeof value === 'string' ||
    typeof value === 'number' ||
    typeof value === 'boolean'
  ) {
    const source = library.isScalar(node) && typeof node.source === 'string' ? node.source : '';
    return { kind: 'scalar', at, value, source };
  }
  // Fail closed: an alias or any other kind of node that the token pass should have refused.
  issues.error(at, 'this kind of YAML value has no place in a policy', 'Write plain text, a list or a map.');
  return nothing;
}

function convertEntries(
  library: YamlLibrary,
  pairs: readonly yaml.Pair[],
  lines: LineTable,
  issues: IssueList,
  depth: number,
): readonly MapEntry[] {
  const seen = new Set<string>();
  const entries: MapEntry[] = [];
  for (const pair of pairs) {
    const keyNode = library.isNode(pair.key) ? pair.key : null;
    const at = lines.at(keyNode?.range?.[0] ?? 0);
    const key: unknown = library.isScalar(keyNode) ? keyNode.value : null;
    if (typeof key !== 'string') {
      issues.error(at, 'a key is a word', 'Write one of the keys of the policy language.');
      continue;
    }
    if (key === '<<') {
      issues.error(at, 'merge keys have no place in a policy', 'Write the keys out, or use extends.');
      continue;
    }
    if (seen.has(key)) {
      issues.error(at, `"${key}" stands here a second time`, 'Keep one of the two.');
      continue;
    }
    seen.add(key);
    const value = convertTree(
      library,
      library.isNode(pair.value) ? pair.value : null,
      lines,
      issues,
      depth + 1,
    );
    // An empty value has no place of its own in the text.
    entries.push({ key, at, value: pair.value === null ? { ...value, at } : value });
  }
  return entries;
}
