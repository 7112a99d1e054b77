import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shellWord } from '../../../controller/process/shell-word.ts';

describe('a word of a command line', () => {
  it('is what the shell takes it for, whatever it holds', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[^\0]*$/), (text) => {
        const printed = execFileSync('sh', ['-c', `printf '%s' ${shellWord(text)}`], { encoding: 'utf8' });
        expect(printed).toBe(text);
      }),
      { numRuns: 50 },
    );
  });
});
