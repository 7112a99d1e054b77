/**
 * A policy file in its canonical form: one order of keys, one kind of quotes and spacing, and every comment where its
 * line is. The order of rules is the author's. Nothing is given back that would not mean the same.
 */
import { DOCUMENT_KEYS, decodeDocument, type PolicyDocument } from './decode.ts';
import { RULE_KEYS } from './decode-rule.ts';
import {
  parseDocument,
  type YamlLibrary,
  type YamlMap,
  type YamlNode,
  type YamlPair,
  type YamlSeq,
  yamlLibrary,
} from './document.ts';
import { decodeText } from './document-text.ts';
import { formatRule } from './format.ts';
import { LIMIT_KEYS } from './guest-limits.ts';
import { IssueList } from './issue.ts';
import type { Parsed, PolicyIssue } from './model.ts';
import { REQUIREMENT_KEYS } from './requirements.ts';

/** As wide as the project's own examples; a list that would be wider stands in lines of its own. */
const LINE_WIDTH = 100;
const VERBS: readonly string[] = ['allow', 'deny', 'mute'];
const LISTS: readonly string[] = ['extends', 'http', 'https', 'tcp', 'methods', 'paths', 'addresses'];
/** What is a map, beside rules, phases and the document itself. */
const MAP_KEYS: Readonly<Record<string, readonly string[]>> = {
  limits: LIMIT_KEYS.map(({ key }) => key),
  requires: REQUIREMENT_KEYS,
};

/** `write` makes the text; what it makes is held to the meaning and the comments of `content`. */
export function formatDocument(
  content: Uint8Array | string,
  file: string,
  write: (source: string) => string = settle,
): Parsed<string> {
  const before = decoded(content, file);
  if (!before.ok) return before;
  const source = decodeText(content);
  if (typeof source !== 'string') return refuse(file, source.message, source.hint);
  const text = write(source);
  const after = decoded(text, file);
  // Fail closed: a form that says something else, or says less to a reader, is not written.
  const isSame = after.ok && meaningOf(after.value) === meaningOf(before.value);
  const keepsComments = commentsOf(text).join('\n') === commentsOf(source).join('\n');
  if (isSame && keepsComments) return { ok: true, value: text };
  const what = isSame && !keepsComments ? 'a comment would be lost' : 'it would not mean the same';
  return refuse(
    file,
    `the file cannot be formatted: ${what}`,
    'Put each comment on a line of its own, above a key.',
  );
}

function refuse(file: string, message: string, hint: string): Parsed<never> {
  const issue: PolicyIssue = { severity: 'error', message, hint, at: { file, line: 1, column: 1 } };
  return { ok: false, issues: [issue] };
}

function decoded(content: Uint8Array | string, file: string): Parsed<PolicyDocument> {
  const tree = parseDocument(content, file);
  if (!tree.ok) return tree;
  const issues = new IssueList(file);
  const document = decodeDocument(tree.value, issues, false);
  return document === null ? { ok: false, issues: issues.issues } : { ok: true, value: document };
}

/** Everything of a document but places. */
function meaningOf({ name, extends: bases, mode, limits, requires, rules, phases }: PolicyDocument): string {
  return JSON.stringify({
    name,
    bases: bases.map(({ text }) => text),
    mode: mode?.value,
    limits,
    requires,
    rules: rules.map(formatRule),
    phases: phases.map((phase) => [phase.name, phase.rules.map(formatRule)]),
  });
}

/** In any order, since keys change places. */
function commentsOf(text: string): readonly string[] {
  const comments: string[] = [];
  for (const lexeme of new (yamlLibrary().Lexer)().lex(text)) {
    if (lexeme.startsWith('#')) comments.push(lexeme.trimEnd());
  }
  return comments.sort();
}

/** A comment that changes its place may want another layout around it; few passes settle that. */
const PASSES = 5;

function settle(source: string): string {
  let text = source;
  for (let pass = 1; pass <= PASSES; pass += 1) {
    const next = rewrite(yamlLibrary(), text);
    if (next === text) return text;
    text = next;
  }
  return text;
}

function rewrite(library: YamlLibrary, text: string): string {
  const document = library.parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: false,
  });
  const { contents } = document;
  if (library.isMap(contents)) {
    const header = takeHeader(library, contents);
    if (header !== null) document.commentBefore = [document.commentBefore ?? [], header].flat().join('\n\n');
    tidyDocument(library, contents);
  }
  return document.toString({ lineWidth: 0, indent: 2, indentSeq: true, flowCollectionPadding: false });
}

/** What stands above a blank line at the head of a file is about the file, not about its first key. */
function takeHeader(library: YamlLibrary, { items }: YamlMap): string | null {
  const key = items[0]?.key;
  if (!library.isScalar(key)) return null;
  const blocks = (key.commentBefore ?? '').split('\n\n');
  const last = blocks.pop();
  if (blocks.length === 0) return null;
  key.commentBefore = last ?? null;
  return blocks.join('\n\n');
}

function tidyDocument(library: YamlLibrary, map: YamlMap): void {
  sortKeys(map, DOCUMENT_KEYS.known);
  map.flow = false;
  for (const pair of map.items) {
    const key = keyOf(pair);
    if (key === 'rules') tidyRules(library, pair.value);
    else if (key === 'phases' && library.isMap(pair.value)) tidyPhases(library, pair.value);
    else tidyPair(library, pair, 0);
  }
}

function tidyPhases(library: YamlLibrary, map: YamlMap): void {
  map.flow = false;
  for (const pair of map.items) {
    if (!library.isMap(pair.value)) continue;
    pair.value.flow = pair.value.items.length === 0;
    for (const inner of pair.value.items) tidyRules(library, inner.value);
  }
}

function tidyRules(library: YamlLibrary, list: unknown): void {
  if (!library.isSeq(list)) return;
  list.flow = list.items.length === 0;
  for (const rule of list.items) {
    if (!library.isMap(rule)) continue;
    const wasFlow = rule.flow === true;
    rule.flow = false;
    sortKeys(rule, RULE_KEYS.known);
    if (wasFlow) moveComment(library, rule);
    for (const pair of rule.items) tidyPair(library, pair, 4);
  }
}

/** Beside braces a comment is about the rule, so it goes where the rule begins. */
function moveComment(library: YamlLibrary, rule: YamlMap): void {
  const first = rule.items[0]?.value;
  if (typeof rule.comment !== 'string' || !library.isNode(first) || typeof first.comment === 'string') return;
  first.comment = rule.comment;
  rule.comment = null;
}

/** Keys that are not known do not pass the decoder, so every key has its place. */
function sortKeys(map: YamlMap, order: readonly string[]): void {
  map.items.sort((a, b) => order.indexOf(keyOf(a)) - order.indexOf(keyOf(b)));
}

function keyOf({ key }: YamlPair): string {
  const value: unknown = typeof key === 'object' && key !== null ? Reflect.get(key, 'value') : key;
  return String(value);
}

function tidyPair(library: YamlLibrary, pair: YamlPair, indent: number): void {
  const key = keyOf(pair);
  tidyScalar(library, pair.key, false);
  const { value } = pair;
  if (library.isMap(value)) {
    sortKeys(value, MAP_KEYS[key] ?? []);
    for (const inner of value.items) tidyScalar(library, inner.value, false);
    value.flow = fits(library, value, indent + key.length);
  } else if (library.isSeq(value)) {
    for (const item of value.items) tidyScalar(library, item, isPortKey(key));
    value.flow = fits(library, value, indent + key.length);
    const [only] = value.items;
    if (VERBS.includes(key) && value.flow && library.isScalar(only) && value.items.length === 1) {
      if (typeof value.comment === 'string') only.comment = value.comment;
      pair.value = only;
    }
  } else if (library.isScalar(value)) {
    tidyScalar(library, value, isPortKey(key));
    if (LISTS.includes(key) && typeof value.commentBefore !== 'string') pair.value = listOf(library, value);
  }
}

function isPortKey(key: string): boolean {
  return key === 'http' || key === 'https' || key === 'tcp';
}

/** A comment beside the value stays beside it. */
function listOf(library: YamlLibrary, value: YamlNode): YamlSeq {
  const list = new library.YAMLSeq();
  if (typeof value.comment === 'string') list.comment = value.comment;
  value.comment = null;
  list.items.push(value);
  list.flow = true;
  return list;
}

/** Plain where that reads as the same text, else in double quotes; a range of ports reads better in quotes. */
function tidyScalar(library: YamlLibrary, node: unknown, isPort: boolean): void {
  if (!library.isScalar(node) || typeof node.value !== 'string') return;
  node.type = isPort ? 'QUOTE_DOUBLE' : 'PLAIN';
}

function fits(library: YamlLibrary, node: YamlMap | YamlSeq, before: number): boolean {
  if (hasComments(library, node)) return false;
  const length = node.items.reduce<number>((sum, item) => sum + String(item).length + 4, before);
  return node.items.length === 0 || length <= LINE_WIDTH;
}

function hasComments(library: YamlLibrary, node: YamlMap | YamlSeq): boolean {
  let isFound = false;
  library.visit(node, (_, inner) => {
    // After a bracket or brace a comment stands beside the whole.
    if (!library.isNode(inner) || (inner === node && node.flow === true)) return undefined;
    const own = [inner.comment, inner.commentBefore];
    if (own.some((comment) => comment !== undefined && comment !== null)) isFound = true;
    return isFound ? library.visit.BREAK : undefined;
  });
  return isFound;
}
