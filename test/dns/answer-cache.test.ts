import { expect, test } from 'vitest';
import { createAnswerCache } from '../../dns/answer-cache.ts';

test('forgets a value when its seconds are over', () => {
  let now = 0;
  const cache = createAnswerCache<string, number>(10, () => now);
  cache.set('a', 1, 5);
  now = 4_999;
  expect(cache.get('a')).toBe(1);
  now = 5_000;
  expect(cache.get('a')).toBeNull();
});

test('does not keep a value for no time, and drops what it had', () => {
  const cache = createAnswerCache<string, number>(10, () => 0);
  cache.set('a', 1, 5);
  cache.set('a', 2, 0);
  expect(cache.get('a')).toBeNull();
});

test('is bounded: the least recently used goes first', () => {
  const cache = createAnswerCache<string, number>(2, () => 0);
  cache.set('a', 1, 5);
  cache.set('b', 2, 5);
  cache.get('a');
  cache.set('c', 3, 5);
  expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([1, null, 3]);
});
