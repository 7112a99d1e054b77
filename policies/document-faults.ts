/**
 * What YAML offers and a policy never has, found token by token, and the library's complaints in words for a person at
 * a policy. Reading the tokens is for `document.ts`.
 */
import type { Fault } from './document-text.ts';
import { POLICY_LIMITS } from './limits.ts';

export function oversized(lexeme: string, count: number, offset: number): Fault | null {
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
      message: 'the file holds more than any such file needs',
      hint: 'Make it shorter.',
    };
  }
  return null;
}

/** Lexemes that stand for no text. */
export function isMarker(type: string | null): boolean {
  return type === 'doc-mode' || type === 'flow-error-end' || type === 'scalar' || type === 'byte-order-mark';
}

export function forbidden(type: string | null, lexeme: string, offset: number): Fault | null {
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
      message: `${lexeme} is a YAML anchor, and sand reads none`,
      hint: 'Write the value out where it is needed, or quote it.',
    };
  }
  if (type === 'directive-line') {
    return {
      offset,
      message: 'sand reads no YAML directives',
      hint: 'Remove the line that begins with "%".',
    };
  }
  return null;
}

/** The library's wording without what a person at a policy cannot use. */
export function yamlMessage(message: string): string {
  const [first = message] = message.split('\n');
  return `this is no valid YAML: ${first.replace(/ at line \d+, column \d+:?$/, '').replace(/\.$/, '')}`;
}

export function yamlHint(code: string): string {
  if (code === 'TAB_AS_INDENT') return 'Indent with spaces.';
  if (code === 'BLOCK_AS_IMPLICIT_KEY') return 'Check the indentation; quote text that holds ": ".';
  if (code === 'MISSING_CHAR') return 'Check that each quote and bracket is closed.';
  return 'Check the indentation, quotes and brackets near here.';
}
