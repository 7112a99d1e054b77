import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { WARNINGS } from '../../policies/warnings.ts';

describe('docs/policy-check.md', () => {
  const text = readFileSync(new URL('../../docs/policy-check.md', import.meta.url), 'utf8');
  const explained = [...text.matchAll(/^\| `([a-z-]+)` \| (.+) \| (.+) \|$/gm)];

  test('explains every warning in the order of the catalogue, and no other', () => {
    expect(explained.map((match) => match[1])).toEqual(Object.keys(WARNINGS));
  });

  test('says of each what to do', () => {
    for (const [, code, so = '', remedy = ''] of explained) {
      expect([code, so.length > 15, remedy.length > 3]).toEqual([code, true, true]);
    }
  });
});
