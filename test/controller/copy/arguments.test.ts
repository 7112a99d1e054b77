import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCopy, parsePlace, parseSize, splitSource } from '../../../controller/copy/arguments.ts';
import { SandError } from '../../../controller/errors.ts';

describe('places of a copy', () => {
  it.each([
    ['web:/a/b', { kind: 'guest', guest: 'web', path: '/a/b' }],
    ['20261128-120000-00ab:/a', { kind: 'guest', guest: '20261128-120000-00ab', path: '/a' }],
    ['./web:/a', { kind: 'host', path: './web:/a' }],
    ['C:/a', { kind: 'host', path: 'C:/a' }],
    ['a b', { kind: 'host', path: 'a b' }],
    ['-', { kind: 'stream' }],
  ])('%s', (text, place) => {
    expect(parsePlace(text)).toEqual(place);
  });

  it.each([
    ['/a/b', '/a', 'b'],
    ['/a/b/', '/a', 'b'],
    ['/a/b/.', '/a/b', '.'],
    ['/a/../b', '/', 'b'],
    ['/', '/', '.'],
    ['/..', '/', '.'],
    ['/a/.git', '/a', '.git'],
  ])('the source %s', (path, folder, name) => {
    expect(splitSource(path)).toEqual({ folder, name });
  });

  it.each([
    ['a', 'b'],
    ['a', '-'],
    ['-', '-'],
    ['web:/a', 'db:/a'],
    ['web:a', 'b'],
    ['', 'web:/a'],
    ['a\0b', 'web:/a'],
  ])('raises wrong use for %j to %j', (from, to) => {
    expect(() => parseCopy(from, to)).toThrow(SandError);
  });

  it('never give a name with a slash, or one that leads upward', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\/[./ab]*$/), (path) => {
        const { folder, name } = splitSource(path);
        expect(folder.startsWith('/') && !name.includes('/') && name !== '' && name !== '..').toBe(true);
      }),
    );
  });

  it('sizes', () => {
    expect(['1', '2k', '3M', '20g'].map((text) => parseSize('--max-size', text))).toEqual([
      1,
      2_048,
      3 * 1024 ** 2,
      20 * 1024 ** 3,
    ]);
    for (const text of ['', '0', '-1', '1x', '9'.repeat(13), '999999999999t'])
      expect(() => parseSize('--max-size', text)).toThrow(/not a size/);
  });
});
