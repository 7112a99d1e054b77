import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchesPath, parsePathPattern } from '../../policies/path-pattern.ts';
import { parseRequestPath } from '../../policies/request-path.ts';

/** The judged path, or why there is none. */
function judged(target: string): string {
  const path = parseRequestPath(target);
  return path.ok ? `/${path.segments.join('/')}` : path.detail;
}

function sent(target: string): string | null {
  const path = parseRequestPath(target);
  return path.ok ? path.sent : null;
}

function matches(pattern: string, target: string): boolean {
  const parsed = parsePathPattern(pattern);
  if (!parsed.ok) throw new Error(parsed.message);
  const path = parseRequestPath(target);
  return path.ok && matchesPath(parsed.value, path.segments);
}

describe('a request path', () => {
  test.each([
    ['/', '/', '/'],
    ['/a', '/a', '/a'],
    ['/a/', '/a/', '/a/'],
    ['/a?b=/../c', '/a', '/a?b=/../c'],
    ['/a/./b', '/a/b', '/a/b'],
    ['/a/../b', '/b', '/b'],
    ['/a/%2e%2E/b', '/b', '/b'],
    ['/a/.%2e/b?q', '/b', '/b?q'],
    ['/../../b', '/b', '/b'],
    ['/a/b/..', '/a/', '/a/'],
    ['/a/.', '/a/', '/a/'],
    ['/..', '/', '/'],
    ['/%61dmin', '/admin', '/%61dmin'],
    ['/a%20b', '/a b', '/a%20b'],
    ['/100%25', '/100%', '/100%25'],
    ['/caf%C3%A9', '/caf\u00e9', '/caf%C3%A9'],
    ['/.../x', '/.../x', '/.../x'],
    ['/a;v=1/b', '/a;v=1/b', '/a;v=1/b'],
    ['/.well-known/x', '/.well-known/x', '/.well-known/x'],
  ])('%s is judged as %s and sent as %s', (target, path, line) => {
    expect([judged(target), sent(target)]).toEqual([path, line]);
  });

  test.each([
    ['*', 'no path'],
    ['', 'no path'],
    ['a', 'no path'],
    ['/a%2Fb', 'encoded slash'],
    ['/a%2f..%2fb', 'encoded slash'],
    ['/a\\b', 'backslash'],
    ['/a%5cb', 'backslash'],
    ['/a%00', 'control character'],
    ['/a%0d%0aX', 'control character'],
    ['/a%7f', 'control character'],
    ['/%252e%252e/b', 'encoded twice'],
    ['/%25%32%65', 'encoded twice'],
    ['/a%', 'encodes no text'],
    ['/a%2', 'encodes no text'],
    ['/a%zz', 'encodes no text'],
    ['/a%ff', 'encodes no text'],
    ['/a%c0%af', 'encodes no text'],
    ['/caf\u00e9', 'not ASCII'],
    ['//a', 'empty segment'],
    ['/a//b', 'empty segment'],
    ['/a/..;/b', 'dot segment with a parameter'],
    ['/a/.;x/b', 'dot segment with a parameter'],
    ['/a/%2e%2e;/b', 'dot segment with a parameter'],
  ])('%j cannot be judged: %s', (target, said) => {
    expect(judged(target)).toContain(said);
  });

  test('that is sent reads as the path that was judged', () => {
    const piece = fc.constantFrom('/', '.', '..', 'a', '%2e', '%61', ';', '%', '25', '2f', 'b', '?', '%5C');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const first = parseRequestPath(`/${pieces.join('')}`);
        if (!first.ok) return;
        const again = parseRequestPath(first.sent);
        expect(again).toEqual({ ...first });
        expect(first.segments.some((segment) => segment === '.' || segment === '..')).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a path pattern', () => {
  test.each([
    ['/', ['/', '/?q', '/a/..'], ['/a', '*']],
    ['/v1', ['/v1', '/v1?x=1', '/%761'], ['/v1/', '/v1/a', '/V1', '/v']],
    ['/v1/', ['/v1/'], ['/v1', '/v1/a']],
    ['/v1/*', ['/v1/a', '/v1/a%20b'], ['/v1', '/v1/', '/v1/a/b', '/v1/a/']],
    ['/v1/**', ['/v1', '/v1/', '/v1/a', '/v1/a/b/', '/x/../v1/a'], ['/v1a', '/v2', '/v1/../v2', '/v1//a']],
    ['/**', ['/', '/a', '/a/b/'], ['*', '/a%2fb', '/a//b']],
    ['/**/*.tgz', ['/a.tgz', '/a/b/c.tgz'], ['/a.tar', '/a.tgz/']],
    ['/a/**/z', ['/a/z', '/a/b/c/z'], ['/a', '/az', '/a/z/b']],
    ['/@*/*', ['/@x/y', '/%40x/y'], ['/x/y', '/@x']],
    ['/a*b*', ['/ab', '/axbx', '/abb'], ['/a', '/ba']],
    ['/*-*', ['/-', '/a-b', '/a-'], ['/ab', '/a/b-c']],
    ['/caf\u00e9', ['/caf%C3%A9'], ['/cafe']],
  ])('%s', (pattern, yes, no) => {
    expect(yes.filter((target) => !matches(pattern, target))).toEqual([]);
    expect(no.filter((target) => matches(pattern, target))).toEqual([]);
  });

  test.each([
    ['a', 'Begin it with "/"'],
    ['', 'Begin it with "/"'],
    ['**', 'Begin it with "/"'],
    ['/a?b', 'a query is not judged'],
    ['/a#b', 'backslash'],
    ['/[ab]', 'which mean nothing'],
    ['/{a,b}', 'which mean nothing'],
    ['/a\\b', 'which mean nothing'],
    ['/a%20b', 'Write the characters themselves'],
    ['/a//b', 'empty segment'],
    ['/../a', 'dot segment'],
    ['/a/.', 'dot segment'],
    ['/a**', '** beside other characters'],
    ['/**/a/**', 'more than one **'],
    ['/*a*b*', 'more than two *'],
    ['/a\u0000', 'cannot be seen'],
    [`/${'a'.repeat(1024)}`, 'at most 1024 characters'],
  ])('%j is refused: %s', (text, said) => {
    const parsed = parsePathPattern(text);
    expect(parsed.ok ? '' : `${parsed.message} ${parsed.hint}`).toContain(said);
  });

  test('takes no longer for a hostile path than for any other', () => {
    const parsed = parsePathPattern('/*a*b/**/*a*b');
    if (!parsed.ok) throw new Error(parsed.message);
    const hostile = Array.from({ length: 500 }, () => 'a'.repeat(1_000));
    for (let at = 0; at < 200; at += 1) expect(matchesPath(parsed.value, hostile)).toBe(false);
  });
});
