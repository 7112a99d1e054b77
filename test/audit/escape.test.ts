import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clipText, escapeJson, escapeTerminal } from '../../audit/escape.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 60 });
const nasty = fc
  .array(
    fc.constantFrom(
      '\u001b[31m',
      '\u009b2J',
      '\n',
      '\r',
      '\u2028',
      '\u2029',
      '\u202e',
      '\u2066',
      '\u200b',
      '\ufeff',
      '\ud83d',
      '\u{e0041}',
      '\u0000',
      '"',
      '\\',
      '\u007f',
      '本',
    ),
  )
  .map((parts) => parts.join(''));

test('escaped JSON says the same and holds no control, bidi or line separator character', () => {
  fc.assert(
    fc.property(fc.oneof(anyText, nasty), (text) => {
      const json = escapeJson(JSON.stringify({ text }));
      expect(JSON.parse(json)).toEqual({ text });
      expect(json).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
    }),
  );
});

test('no text reaches a terminal with a control, format or unpaired character', () => {
  fc.assert(
    fc.property(fc.oneof(anyText, nasty), (text) => {
      expect(escapeTerminal(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/u);
    }),
  );
});

test('what is escaped can be seen', () => {
  expect(escapeTerminal('a\u001b[31mb\n\u202ec\ud800')).toBe('a\\x1b[31mb\\x0a\\u202ec\\ud800');
  expect(escapeTerminal('\u{e0041}')).toBe('\\u{e0041}');
  expect(escapeTerminal('日本.example')).toBe('日本.example');
});

test('a cut text keeps its limit and no half of a pair', () => {
  expect(clipText('abcdef', 6)).toBe('abcdef');
  expect(clipText('abcdefg', 6)).toBe('abcde…');
  expect(clipText('abcd😀fg', 6)).toBe('abcd…');
  fc.assert(
    fc.property(anyText, fc.integer({ min: 1, max: 50 }), (text, limit) => {
      expect(clipText(text, limit).length).toBeLessThanOrEqual(limit);
      if (text.isWellFormed()) expect(clipText(text, limit).isWellFormed()).toBe(true);
    }),
  );
});
