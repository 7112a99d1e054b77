/**
 * Text of a policy or project file → a tree of plain values with the line and column of each. Refuses at once what YAML
 * offers and such a file never needs (aliases, tags, directives, several documents) and what a reviewer could not
 * see (control and bidirectional characters). What the values mean is for `decode.ts`.
 */
import { createRequire } from 'node:module';
import type * as yaml from 'yaml';
import { forbidden, isMarker, oversized, yamlHint, yamlMessage } from './document-faults.ts';
import { EMPTY_LAYOUT, type Layout } from './document-layout.ts';
import { decodeText, type Fault, unreadableText } from './document-text.ts';
import type { MapEntry, PolicyNode, ScalarNode } from './document-tree.ts';
import { IssueList, type Position } from './issue.ts';
import { POLICY_LIMITS } from './limits.ts';
import { LineTable } from './line-table.ts';
import type { Parsed } from './model.ts';

export type YamlLibrary = typeof yaml;
export type YamlNode = yaml.Node;
export type YamlMap = yaml.YAMLMap;
export type YamlPair = yaml.Pair;
export type YamlSeq = yaml.YAMLSeq;

/** The library costs milliseconds to load, and the shipped presets do without it. */
const load: (name: string) => YamlLibrary = createRequire(import.meta.url);

/** For who writes a document anew; nobody else imports the library. */
export function yamlLibrary(): YamlLibrary {
  return load('yaml');
}

/** Nesting of the concrete syntax: a collection and the document itself each take a place. */
const PARSER_STACK = POLICY_LIMITS.depth + 2;

export function parseDocument(content: Uint8Array | string, file: string): Parsed<PolicyNode> {
  const parsed = parse(content, file, false);
  return parsed.ok ? { ok: true, value: parsed.value.tree } : parsed;
}

/** The same, and where in the text each value stands, for who edits it. */
export function parseWithLayout(content: Uint8Array | string, file: string): Parsed<LaidOut> {
  return parse(content, file, true);
}

export interface LaidOut {
  /** What the offsets of `layout` count in. */
  readonly text: string;
  readonly tree: PolicyNode;
  readonly layout: Layout;
}

function parse(content: Uint8Array | string, file: string, wantsLayout: boolean): Parsed<LaidOut> {
  const text = decodeText(content);
  if (typeof text !== 'string') return failed(file, { line: 1, column: 1 }, text.message, text.hint);
  const fault = unreadableText(text);
  if (fault !== null) return failed(file, positionOf(text, fault.offset), fault.message, fault.hint);
  try {
    return readYaml(load('yaml'), text, file, wantsLayout);
  } catch {
    // Fail closed: the library raises for some text that no person writes; such a file is no policy.
    return failed(file, { line: 1, column: 1 }, 'the file cannot be read as YAML', 'Write it anew.');
  }
}

function readYaml(library: YamlLibrary, text: string, file: string, wantsLayout: boolean): Parsed<LaidOut> {
  const tokens = readTokens(library, text);
  if ('offset' in tokens) return failed(file, positionOf(text, tokens.offset), tokens.message, tokens.hint);
  const composer = new library.Composer({
    version: '1.2',
    schema: 'core',
    merge: false,
    strict: true,
    // Compared here instead: the library's own comparison takes quadratic time.
    uniqueKeys: false,
    keepSourceTokens: wantsLayout,
  });
  const lines = new LineTable(text);
  const issues = new IssueList(file);
  const [first, second] = composeQuietly(() => [...composer.compose(tokens.tokens, true, text.length)]);
  for (const problem of [...(first?.errors ?? []), ...(first?.warnings ?? [])]) {
    issues.error(lines.at(problem.pos[0]), yamlMessage(problem.message), yamlHint(problem.code));
  }
  if (second !== undefined) {
    issues.error(
      lines.at(second.range[0]),
      'a file holds one document, and a second begins here',
      'Remove "---".',
    );
  }
  if (issues.failed) return { ok: false, issues: issues.issues };
  const root = first?.contents ?? null;
  const tree = convertTree(library, root, lines, issues, 0);
  if (issues.failed) return { ok: false, issues: issues.issues };
  return { ok: true, value: { text, tree, layout: wantsLayout ? layOut(library, root) : EMPTY_LAYOUT } };
}

/** As deep as `convertTree` has gone before. */
function layOut(library: YamlLibrary, node: yaml.Node | null): Layout {
  if (node === null) return EMPTY_LAYOUT;
  const [start = 0, end = 0] = node.range ?? [];
  if (library.isMap(node)) {
    const entries = node.items.map((pair) => {
      const key = library.isScalar(pair.key) ? pair.key : null;
      const value = library.isNode(pair.value) ? layOut(library, pair.value) : null;
      const [keyStart = start, keyEnd = start] = key?.range ?? [];
      const ends = { keyEnd, end: value?.end ?? keyEnd + 1 };
      return { key: String(key?.value), start: keyStart, ...ends, value };
    });
    const isFlow = node.flow === true;
    return { kind: 'map', start, end: isFlow ? end : (entries.at(-1)?.end ?? end), isFlow, entries };
  }
  if (library.isSeq(node)) {
    const marks = seqMarks(node);
    const items = node.items.map((item, at) => {
      const value = library.isNode(item) ? layOut(library, item) : EMPTY_LAYOUT;
      return { start: marks[at] ?? value.start, end: value.end, value };
    });
    const isFlow = node.flow === true;
    return { kind: 'list', start, end: isFlow ? end : (items.at(-1)?.end ?? end), isFlow, items };
  }
  return { kind: 'scalar', start, end };
}

/** Offsets of the dashes of a list in block style. */
function seqMarks(node: yaml.YAMLSeq): readonly number[] {
  const token = node.srcToken;
  if (token?.type !== 'block-seq') return [];
  return token.items.flatMap(({ start }) =>
    start.filter(({ type }) => type === 'seq-item-ind').map(({ offset }) => offset),
  );
}

/** The library makes an Error of each problem; without their stacks a file full of problems fits in memory. */
function composeQuietly<T>(compose: () => T): T {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return compose();
  } finally {
    Error.stackTraceLimit = before;
  }
}

/** Runs lexer and parser side by side, so that the first forbidden or too deeply nested token ends both. */
function readTokens(
  library: YamlLibrary,
  text: string,
): { readonly tokens: readonly yaml.CST.Token[] } | Fault {
  const parser = new library.Parser();
  const tokens: yaml.CST.Token[] = [];
  let offset = text.startsWith('\ufeff') ? 1 : 0;
  let count = 0;
  let scalarFollows = false;
  for (const lexeme of new library.Lexer().lex(text)) {
    const type: yaml.CST.TokenType | null = scalarFollows ? null : library.CST.tokenType(lexeme);
    count += 1;
    const fault = forbidden(type, lexeme, offset) ?? oversized(lexeme, count, offset);
    if (fault !== null) return fault;
    for (const token of parser.next(lexeme)) {
      if (token.type === 'error') return parseFault(token.message, token.offset);
      tokens.push(token);
    }
    if (parser.stack.length > PARSER_STACK) {
      return {
        offset,
        message: `values are nested more than ${POLICY_LIMITS.depth} deep`,
        hint: 'A few levels are enough; remove brackets or dashes.',
      };
    }
    scalarFollows = type === 'scalar';
    if (!isMarker(type)) offset += lexeme.length;
  }
  for (const token of parser.end()) {
    if (token.type === 'error') return parseFault(token.message, token.offset);
    tokens.push(token);
  }
  return { tokens };
}

function parseFault(message: string, offset: number): Fault {
  return { offset, message: yamlMessage(message), hint: yamlHint('') };
}

function convertTree(
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
  issues.error(at, 'this kind of YAML value has no place here', 'Write plain text, a list or a map.');
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
      issues.error(at, 'a key is a word', 'Write one of the keys that belong here.');
      continue;
    }
    if (key === '<<') {
      issues.error(at, 'merge keys have no place here', 'Write the keys out.');
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

function positionOf(text: string, offset: number): Position {
  return new LineTable(text).at(offset);
}

function failed(file: string, at: Position, message: string, hint: string): Parsed<never> {
  return {
    ok: false,
    issues: [{ severity: 'error', message, hint, at: { file, line: at.line, column: at.column } }],
  };
}
