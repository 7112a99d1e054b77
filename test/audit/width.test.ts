import fc from 'fast-check';
import { expect, test } from 'vitest';
import { displayWidth, fitEnd, fitStart, padEnd, padStart } from '../../audit/width.ts';

test('wide characters take two columns, combining marks none', () => {
  expect(displayWidth('abc')).toBe(3);
  expect(displayWidth('日本')).toBe(4);
  expect(displayWidth('한국')).toBe(4);
  expect(displayWidth('e\u0301')).toBe(1);
  expect(displayWidth('😀')).toBe(2);
  expect(displayWidth('…é')).toBe(2);
});

test('a cut keeps the asked end and never half a wide character', () => {
  expect(fitStart('日本語', 4)).toBe('日…');
  expect(fitEnd('日本語', 4)).toBe('…語');
  expect(fitEnd('/a/b/policy.yaml:12', 8)).toBe('…yaml:12');
  expect(fitStart('abc', 0)).toBe('');
});

test('what is fitted and padded has its width', () => {
  const text = fc.array(fc.constantFrom('a', 'é', '日', '😀', 'ｱ')).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 20 }), (value, columns) => {
      expect(displayWidth(fitStart(value, columns))).toBeLessThanOrEqual(columns);
      expect(displayWidth(fitEnd(value, columns))).toBeLessThanOrEqual(columns);
      expect(displayWidth(padEnd(fitStart(value, columns), columns))).toBe(columns);
      expect(displayWidth(padStart(fitEnd(value, columns), columns))).toBe(columns);
    }),
  );
});
