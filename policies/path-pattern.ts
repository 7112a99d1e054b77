/**
 * Patterns over request paths: their grammar and what they match. The paths that they are asked about are read by
 * `request-path.ts`; matching takes time in proportion to the path, whatever the pattern.
 */
import { POLICY_LIMITS } from './limits.ts';
import type { PathPattern } from './model.ts';
import type { Reading } from './pattern.ts';

/** They mean something in other pattern languages, or end a path. */
const FOREIGN = /[?#[\]{}()\\]/;

export function parsePathPattern(text: string): Reading<PathPattern> {
  if (!text.startsWith('/')) return refuse(`"${text}" is no path`, 'Begin it with "/".');
  if (text.length > POLICY_LIMITS.pathCharacters) {
    return refuse(`a path has at most ${POLICY_LIMITS.pathCharacters} characters`, 'Use a wildcard.');
  }
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(text)) {
    return refuse('a path holds a character that cannot be seen', 'Remove it.');
  }
  if (FOREIGN.test(text)) {
    return refuse(
      `"${text}" holds ? # [ ] { } ( ) or a backslash, which mean nothing in a path here`,
      'Use * for a part of a segment and ** for any number of segments; a query is not judged.',
    );
  }
  if (/%[0-9A-Fa-f]{2}/.test(text)) {
    return refuse(`"${text}" is percent-encoded`, 'Write the characters themselves.');
  }
  const segments = text.slice(1).split('/');
  for (const [at, segment] of segments.entries()) {
    const isLast = at === segments.length - 1;
    if (segment === '' && !isLast) return refuse(`"${text}" has an empty segment`, 'Write one "/".');
    if (/^\.{1,2}(;|$)/.test(segment)) {
      return refuse(`"${text}" has a dot segment, which no judged path has`, 'Write the path that is meant.');
    }
    if (segment.includes('**') && segment !== '**') {
      return refuse(`"${text}" has ** beside other characters`, 'Write * there, or ** as a whole segment.');
    }
    if (segment !== '**' && segment.split('*').length - 1 > POLICY_LIMITS.starsPerLabel) {
      return refuse(`"${text}" has more than two * in one segment`, 'Use fewer.');
    }
  }
  if (segments.filter((segment) => segment === '**').length > 1) {
    return refuse(`"${text}" has more than one **`, 'Use one ** and * for the other segments.');
  }
  return { ok: true, value: { text, segments } };
}

/** `*` is any part of one segment, and alone a whole one that is not empty; `**` is any number of segments. */
export function matchesPath({ segments }: PathPattern, path: readonly string[]): boolean {
  const deep = segments.indexOf('**');
  if (deep === -1) return segments.length === path.length && matchAll(segments, path);
  const tail = segments.slice(deep + 1);
  if (path.length < deep + tail.length) return false;
  return (
    matchAll(segments.slice(0, deep), path.slice(0, deep)) &&
    matchAll(tail, path.slice(path.length - tail.length))
  );
}

function matchAll(patterns: readonly string[], segments: readonly string[]): boolean {
  return patterns.every((pattern, at) => matchSegment(pattern, segments[at] ?? ''));
}

function matchSegment(pattern: string, segment: string): boolean {
  if (pattern === '*') return segment !== '';
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return pattern === segment;
  if (!segment.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = segment.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return segment.length - last.length >= at && segment.endsWith(last);
}

function refuse(message: string, hint: string): Reading<PathPattern> {
  return { ok: false, message, hint };
}
