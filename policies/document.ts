/**
 * Text of a policy file → a tree of plain values with the line and column of each. Refuses at once what YAML
 * offers and a policy never needs (aliases, tags, directives, several documents) and what a reviewer could not
 * see (control and bidirectional characters). What the values mean is for `decode.ts`.
 */
import { createRequire } from 'node:module';
import type * as yaml from 'yaml';
import { convertTree, type PolicyNode, type YamlLibrary } from './document-tree.ts';
import { IssueList, type Position } from './issue.ts';
import { POLICY_LIMITS } from './limits.ts';
import { LineTable } from './line-table.ts';
import type { Parsed } from './model.ts';

/** The library costs milliseconds to load, and the shipped presets do without it. */
const load: (name: string) => YamlLibrary = createRequire(import.meta.url);

/** A problem of the text as such; reading stops at the first. */
interface Fault {
  readonly offset: number;
  readonly message: string;
  readonly hint: string;
}

/** Nesting of the concrete syntax: a collection and the document itself each take a place. */
const PARSER_STACK = POLICY_LIMITS.depth + 2;
/** C0 and C1 controls but tab and line ends, noncharacters, and the marks that reorder text on a screen. */
const INVISIBLE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]|\r(?!\n)/;

export function parseDocument(content: Uint8Array | string, file: string): Parsed<PolicyNode> {
  const text = decodeText(content);
  if (typeof text !== 'string') return failed(file, { line: 1, column: 1 }, text.message, text.hint);
  const fault = unreadableText(text);
  if (fault !== null) return failed(file, positionOf(text, fault.offset), fault.message, fault.hint);
  try {
    return readYaml(load('yaml'), text, file);
  } catch {
    // Fail closed: the library raises for some text that no person writes; such a file is no policy.
    return failed(file, { line: 1, column: 1 }, 'the file cannot be read as YAML', 'Write it anew.');
  }
}

function decodeText(
  content: Uint8Array | string,
): string | { readonly message: string; readonly hint: string } {
  const bytes = typeof content === 'string' ? content.length : content.byteLength;
  if (bytes > POLICY_LIMITS.fileBytes) {
    return {
      message: `the file is larger than ${POLICY_LIMITS.fileBytes} bytes`,
      hint: 'Split it, or use wildcards.',
    };
  }
  if (typeof content === 'string') return content;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return { message: 'the file is not valid UTF-8', hint: 'Save it as UTF-8.' };
  }
}

function unreadableText(text: string): Fault | null {
  const at = text.search(INVISIBLE);
  if (at !== -1) {
    const code = (text.codePointAt(at) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    return {
      offset: at,
      message: `the character U+${code} is invisible or reorders text, so a reviewer cannot see what it does`,
      hint: 'Remove it.',
    };
  }
  if (!text.isWellFormed()) {
    return { offset: 0, message: 'the text holds half of a surrogate pair', hint: 'Save the file as UTF-8.' };
  }
  return null;
}

function readYaml(library: YamlLibrary, text: string, file: string): Parsed<PolicyNode> {
  const tokens = readTokens(library, text);
  if ('offset' in tokens) return failed(file, positionOf(text, tokens.offset), tokens.message, tokens.hint);
  const composer = new library.Composer({
    version: '1.2',
    schema: 'core',
    merge: false,
    strict: true,
    // Compared here instead: the library's own comparison takes quadratic time.
    uniqueKeys: false,
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
      'a file holds one policy, and a second begins here',
      'Remove "---".',
    );
  }
  if (issues.failed) return { ok: false, issues: issues.issues };
  const tree = convertTree(library, first?.contents ?? null, lines, issues, 0);
  return issues.failed ? { ok: false, issues: issues.issues } : { ok: true, value: tree };
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
        hint: 'A policy needs four levels; remove brackets or dashes.',
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

function oversized(lexeme: string, count: number, offset: number): Fault | null {
  if (lexeme.length > POLICY_LIMITS.tokenCharacters && lexeme.trim() !== '') {
    return {
      offset,
      message: `a value or comment has more than ${POLICY_LIMITS.tokenCharacters} characters`,
      hint: 'Shorten it.',
    };
  }
  if (count > POLICY_LIMITS.tokens) {
    return {
      offset,
      message: 'the file holds more than any policy needs',
      hint: 'Split it, or use wildcards.',
    };
  }
  return null;
}

/** Lexemes that stand for no text. */
function isMarker(type: yaml.CST.TokenType | null): boolean {
  return type === 'doc-mode' || type === 'flow-error-end' || type === 'scalar' || type === 'byte-order-mark';
}

function forbidden(type: yaml.CST.TokenType | null, lexeme: string, offset: number): Fault | null {
  if (type === 'alias') {
    return {
      offset,
      message: `${lexeme} is not quoted, and YAML reads a leading "*" as an alias`,
      hint: `Quote it: "${lexeme}".`,
    };
  }
  if (type === 'tag') {
    return {
      offset,
      message: `${lexeme} is not quoted, and YAML reads a leading "!" as a tag and drops it`,
      hint: `Quote it: "${lexeme}"; to refuse a name, write a rule: "- deny: name".`,
    };
  }
  if (type === 'anchor') {
    return {
      offset,
      message: `${lexeme} is a YAML anchor, and a policy has none`,
      hint: 'Write the value out where it is needed, or quote it.',
    };
  }
  if (type === 'directive-line') {
    return {
      offset,
      message: 'a policy has no YAML directives',
      hint: 'Remove the line that begins with "%".',
    };
  }
  return null;
}

function positionOf(text: string, offset: number): Position {
  return new LineTable(text).at(offset);
}

/** The library's wording without what a person at a policy cannot use. */
function yamlMessage(message: string): string {
  const [first = message] = message.split('\n');
  return `this is no valid YAML: ${first.replace(/ at line \d+, column \d+:?$/, '').replace(/\.$/, '')}`;
}

function yamlHint(code: string): string {
  if (code === 'TAB_AS_INDENT') return 'Indent with spaces.';
  if (code === 'BLOCK_AS_IMPLICIT_KEY') return 'Check the indentation; quote text that holds ": ".';
  if (code === 'MISSING_CHAR') return 'Check that each quote and bracket is closed.';
  return 'Check the indentation, quotes and brackets near here.';
}

function failed(file: string, at: Position, message: string, hint: string): Parsed<never> {
  return {
    ok: false,
    issues: [{ severity: 'error', message, hint, at: { file, line: at.line, column: at.column } }],
  };
}
