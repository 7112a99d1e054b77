import { expect, it } from 'vitest';
import { standingOf } from '../../../controller/guests/standing.ts';
import type { RunState } from '../../../controller/run/run-state.ts';

const state = (changes: Partial<RunState>) => ({ status: 'running', ...changes }) as RunState;
const end = { exitCode: 0, cause: 'exit', at: '2026-11-21T20:15:00.000Z' } as const;

it.each([
  [null, false, 'broken'],
  [null, true, 'broken'],
  [state({}), true, 'running'],
  [state({ status: 'starting' }), true, 'starting'],
  [state({}), false, 'broken'],
  [state({ status: 'starting' }), false, 'broken'],
  [state({ end }), false, 'ended'],
  [state({ end }), true, 'ended'],
] as const)('%j with a supervisor that lives: %s stands as %s', (given, isAlive, standing) => {
  expect(standingOf(given, isAlive)).toBe(standing);
});
