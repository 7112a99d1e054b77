/**
 * A `.dockerignore` as builders read it: its text → whether a path of the build's context is left out. The last line
 * that matches a path, or a folder that it lies in, decides. Pure.
 */

interface Pattern {
  readonly expression: RegExp;
  readonly isExcluded: boolean;
}

/** More than any file has; what stands behind them leaves nothing out. */
const MOST_LINES = 1_000;

export interface Ignored {
  /** Paths are relative to the context, with `/` between their parts. */
  leavesOut(path: string): boolean;
  /** Whether a line takes something in again, which may lie in a folder that is left out. */
  readonly hasExceptions: boolean;
}

export function readIgnored(text: string): Ignored {
  const patterns = text.split('\n').slice(0, MOST_LINES).flatMap(readPattern);
  return {
    leavesOut: (path) => patterns.findLast(({ expression }) => expression.test(path))?.isExcluded ?? false,
    hasExceptions: patterns.some(({ isExcluded }) => !isExcluded),
  };
}

function readPattern(line: string): readonly Pattern[] {
  const text = line.trim();
  if (text === '' || text.startsWith('#')) return [];
  const isExcluded = !text.startsWith('!');
  const parts = (isExcluded ? text : text.slice(1))
    .trim()
    .split('/')
    .filter((part) => part !== '' && part !== '.');
  // One that climbs out of the context matches nothing in it.
  if (parts.length === 0 || parts.includes('..')) return [];
  const body = parts.map((part, at) => {
    const isLast = at === parts.length - 1;
    if (part === '**') return isLast ? '.*' : '(?:.*/)?';
    return `${readPart(part)}${isLast ? '' : '/'}`;
  });
  return [{ expression: new RegExp(`^${body.join('')}(?:/.*)?$`, 's'), isExcluded }];
}

/** `*` and `?` stand for what is in one part of a path; `[…]` is of Go's filepath.Match, close to that of expressions. */
function readPart(part: string): string {
  let expression = '';
  for (let at = 0; at < part.length; at += 1) {
    const character = part.charAt(at);
    const set = character === '[' ? /^\[\^?[^\]\\[]+\]/.exec(part.slice(at))?.[0] : undefined;
    if (set !== undefined) {
      expression += set;
      at += set.length - 1;
    } else if (character === '*') expression += part.charAt(at + 1) === '*' ? '.*' : '[^/]*';
    else if (character === '?') expression += '[^/]';
    else if (character === '\\' && at + 1 < part.length) {
      expression += quote(part.charAt(at + 1));
      at += 1;
    } else expression += quote(character);
  }
  return expression;
}

function quote(character: string): string {
  return character.replace(/[.+^${}()|[\]\\/*?-]/, '\\$&');
}
