import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readIgnored } from '../../../controller/images/ignore-patterns.ts';

describe('readIgnored', () => {
  it.each([
    ['node_modules', 'node_modules', true],
    ['node_modules', 'node_modules/a/b', true],
    ['node_modules', 'web/node_modules', false],
    ['**/node_modules', 'web/node_modules/a', true],
    ['**/node_modules', 'node_modules', true],
    ['/dist/', 'dist/a', true],
    ['./dist', 'dist', true],
    ['*.log', 'a.log', true],
    ['*.log', 'web/a.log', false],
    ['**/*.log', 'web/deep/a.log', true],
    ['src/**', 'src/a/b', true],
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['[ab].txt', 'b.txt', true],
    ['[^ab].txt', 'b.txt', false],
    ['a.b', 'axb', false],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
    ['# a', '# a', false],
    ['../a', 'a', false],
    ['*\n!keep', 'keep', false],
    ['*\n!keep', 'other', true],
    ['!keep\n*', 'keep', true],
    ['docs\n!docs/a.md', 'docs/a.md', false],
    ['', 'a', false],
  ])('of %j says of %j: %s', (text, path, expected) => {
    expect(readIgnored(text).leavesOut(path)).toBe(expected);
  });

  it('knows whether something is taken in again', () => {
    expect(readIgnored('a\n!a/b\n').hasExceptions).toBe(true);
    expect(readIgnored('a\n').hasExceptions).toBe(false);
  });

  it('survives any text and any path', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (text, path) => {
        readIgnored(text).leavesOut(path);
      }),
    );
  });
});
