import { describe, expect, it } from 'vitest';
import { foldName } from '../../../controller/guest/name-fold.ts';
import { PROTECTED_NAMES } from '../../../controller/guest/protected-names.ts';

describe('one name for every spelling', () => {
  it.each([
    ['.GIT', '.git'],
    ['.g\u200cit', '.git'],
    ['\ufeff.git', '.git'],
    ['.v\u017fcode', '.vscode'],
    ['.hus\u212ay', '.husky'],
    ['cafe\u0301', 'caf\u00c9'],
  ])('%j is %j', (a, b) => {
    expect(foldName(a)).toBe(foldName(b));
  });

  it.each([
    ['.git', 'git'],
    ['.git ', '.git'],
    ['.gitx', '.git'],
  ])('%j is not %j', (a, b) => {
    expect(foldName(a)).not.toBe(foldName(b));
  });

  it('and a protected name is its own', () => {
    for (const name of PROTECTED_NAMES) expect(foldName(name)).toBe(name);
  });
});
