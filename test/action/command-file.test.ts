import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatEntry, parseEntries } from '../../action/command-file.ts';
import { readVariables } from './runner/commands.ts';

const NAME = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/);

describe('a command file', () => {
  it('that is written reads back, by both readers', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(NAME, fc.string({ unit: 'binary' }))), (pairs) => {
        const text = pairs.map(([name, value]) => formatEntry({ name, value }, 'unforeseen')).join('');
        const parsed = parseEntries(text);
        expect(parsed).toEqual({ ok: true, entries: pairs.map(([name, value]) => ({ name, value })) });
        expect([...readVariables(text)]).toEqual([...new Map(pairs)]);
      }),
    );
  });

  it('that a guest writes reads as the runner reads it, or not at all', () => {
    const line = fc.constantFrom(
      'A=1',
      'A<<E',
      'E',
      '',
      '=x',
      'A=<<E',
      '<<E',
      'A',
      'A<<',
      'B=2=3',
      'C<<D=1',
      'D=1',
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const parsed = parseEntries(lines.join('\n'));
        if (!parsed.ok) return;
        const own = new Map(parsed.entries.map(({ name, value }) => [name, value]));
        expect([...readVariables(lines.join('\n'))]).toEqual([...own]);
      }),
      { numRuns: 2000 },
    );
  });

  it.each(['A', '<<E\nx\nE', '=1', 'A<<', 'A<<E\nx', 'FINE=1\nA<<E'])('is refused as a whole: %j', (text) => {
    expect(parseEntries(text).ok).toBe(false);
  });

  it('is not written where a value holds the delimiter, or a name is none', () => {
    expect(() => formatEntry({ name: 'A', value: 'x\nE\nLD_PRELOAD=y' }, 'E')).toThrow();
    expect(() => formatEntry({ name: 'A\nB', value: '' }, 'E')).toThrow();
  });
});
