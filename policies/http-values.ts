/**
 * `methods` and `paths` of a rule: their values, and where they may stand. They are held where sand reads the
 * requests, which is plain HTTP; anywhere else they are an error.
 */
import type { MapEntry } from './document-tree.ts';
import type { IssueList } from './issue.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { PathPattern, PortRange, Protocol } from './model.ts';
import { readList, readText, shorten } from './node-reading.ts';
import { parsePathPattern } from './path-pattern.ts';

/** Never relayed, whatever a rule says. */
const NEVER_RELAYED: readonly string[] = ['CONNECT', 'TRACE'];

export function readMethods(entry: MapEntry | undefined, issues: IssueList): readonly string[] | null {
  if (entry === undefined) return null;
  const methods = new Set<string>();
  for (const node of readList(entry, issues) ?? []) {
    const method = readText('methods', node, issues);
    if (method === null) continue;
    if (!/^[A-Z][A-Z0-9-]{0,31}$/.test(method)) {
      const upper = method.toUpperCase();
      issues.error(
        node.at,
        `"${shorten(method)}" is no method; methods are upper-case words`,
        /^[A-Z][A-Z0-9-]{0,31}$/.test(upper) ? `Write ${upper}.` : 'Write methods: [GET, HEAD].',
      );
    } else if (NEVER_RELAYED.includes(method)) {
      issues.error(node.at, `${method} is never relayed, so no rule can allow it`, 'Remove it.');
    } else methods.add(method);
  }
  holdCount(entry, methods.size, POLICY_LIMITS.methods, issues);
  return [...methods].sort();
}

export function readPaths(entry: MapEntry | undefined, issues: IssueList): readonly PathPattern[] | null {
  if (entry === undefined) return null;
  const paths = new Map<string, PathPattern>();
  for (const node of readList(entry, issues) ?? []) {
    const text = readText('paths', node, issues);
    const read = text === null ? null : parsePathPattern(text);
    if (read === null) continue;
    if (read.ok) paths.set(read.value.text, read.value);
    else issues.error(node.at, shorten(read.message), read.hint);
  }
  holdCount(entry, paths.size, POLICY_LIMITS.paths, issues);
  return [...paths.values()].sort((a, b) => (a.text < b.text ? -1 : 1));
}

function holdCount(entry: MapEntry, count: number, most: number, issues: IssueList): void {
  if (count > most)
    issues.error(entry.at, `"${entry.key}" has more than ${most} values`, 'Write several rules.');
}

/** Fail closed: over TLS and raw bytes no request is read, so a rule that says which ones would not be held. */
export function holdPlainHttp(
  entries: ReadonlyMap<string, MapEntry>,
  ports: Readonly<Record<Protocol, readonly PortRange[]>> | null,
  issues: IssueList,
): void {
  const entry = entries.get('methods') ?? entries.get('paths');
  if (entry === undefined) return;
  const beyond = (['https', 'tcp'] as const).find((protocol) => (ports?.[protocol].length ?? 0) > 0);
  if (ports === null) {
    issues.error(
      entry.at,
      `"${entry.key}" is held for plain HTTP alone, and this rule allows https on 443 too`,
      'Add http: [80], and allow https by a rule of its own if it is meant.',
    );
  } else if (beyond !== undefined) {
    issues.error(
      entry.at,
      `"${entry.key}" is held for plain HTTP alone, and this rule has ${beyond} ports`,
      `Write http: [80] here, and ${beyond} in a rule of its own if it is meant.`,
    );
  }
}
