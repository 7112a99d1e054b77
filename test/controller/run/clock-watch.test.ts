import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Notice } from '../../../audit/event.ts';
import { judgeClocks, watchClocks } from '../../../controller/run/clock-watch.ts';

const FROM = { steadyMs: 1_000, wallMs: 1_000_000 };
const after = (steadyMs: number, wallMs = steadyMs) =>
  judgeClocks(FROM, { steadyMs: FROM.steadyMs + steadyMs, wallMs: FROM.wallMs + wallMs });

test('a timer that is somewhat late, and a clock that is slewed, are no gap', () => {
  for (const late of [1_000, 3_000, 10_500]) expect(after(late)).toBeNull();
  expect(after(1_000, 1_900)).toBeNull();
  expect(after(1_000, 100)).toBeNull();
});

test('a process that stood still is told with how long', () => {
  expect(after(30_000)).toMatchObject({ code: 'sand-paused', detail: expect.stringContaining('30.0 s') });
});

test('a clock that jumps is told with its way, also where the steady one slept', () => {
  expect(after(1_000, 3_601_000)).toMatchObject({
    code: 'clock-changed',
    detail: expect.stringContaining('forward by 3600.0 s'),
  });
  expect(after(1_000, -59_000)).toMatchObject({ detail: expect.stringContaining('back by 60.0 s') });
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('looks until it is ended, and tells each gap once', () => {
  const told: Notice[] = [];
  const clock = { steadyMs: 0, wallMs: 0 };
  const end = watchClocks(
    (notice) => told.push(notice),
    () => ({ ...clock }),
  );
  const pass = (steady: number, wall = steady) => {
    clock.steadyMs += steady;
    clock.wallMs += wall;
    vi.advanceTimersByTime(1_000);
  };
  pass(1_000);
  pass(60_000);
  pass(1_000);
  expect(told.map(({ code }) => code)).toEqual(['sand-paused']);
  end();
  pass(60_000);
  expect(told).toHaveLength(1);
});
