import { describe, expect, it } from 'vitest';
import {
  type CiFindings,
  ciExitCode,
  defaultFailOn,
  type FailOn,
  parseFailOn,
} from '../../../controller/ci/fail-on.ts';

const CLEAN: CiFindings = { exitCode: 0, isLeftover: false, denied: 0, drift: 0, cuts: 0 };
const ALL: CiFindings = { exitCode: 0, isLeftover: true, denied: 1, drift: 1, cuts: 1 };
const every = new Set<FailOn>(['denied', 'drift', 'ceiling']);

describe('the exit code of sand ci', () => {
  it.each<[string, Partial<CiFindings>, ReadonlySet<FailOn>, number]>([
    ['is 0 where nothing is to be said', {}, every, 0],
    ['is the command’s own before all else', { ...ALL, exitCode: 3 }, every, 3],
    ['is 137 for a killed command', { ...ALL, exitCode: 137 }, every, 137],
    ['is 122 for a failed probe', { ...ALL, exitCode: 122 }, every, 122],
    ['is 124 for the time limit', { ...ALL, exitCode: 124 }, every, 124],
    ['is 125 where something is left behind', ALL, every, 125],
    ['is 120 for a denial, before drift', { ...ALL, isLeftover: false }, every, 120],
    ['is 121 for drift', { drift: 1 }, every, 121],
    ['is 120 for what the ceiling cuts', { cuts: 1, drift: 1 }, every, 120],
    ['is 0 for a denial that fails nothing', { denied: 1 }, new Set<FailOn>(['drift']), 0],
    ['is 0 for a cut that fails nothing', { cuts: 1 }, new Set<FailOn>(['denied', 'drift']), 0],
    ['is 0 for all of it where nothing fails', { denied: 1, drift: 1, cuts: 1 }, new Set<FailOn>(), 0],
  ])('%s', (_, findings, failOn, code) => {
    expect(ciExitCode({ ...CLEAN, ...findings }, failOn)).toBe(code);
  });
});

describe('--fail-on', () => {
  it('is drift with a baseline, else denials, and nothing while one is recorded', () => {
    expect([...defaultFailOn(true, false)]).toEqual(['drift']);
    expect([...defaultFailOn(false, false)]).toEqual(['denied']);
    expect([...defaultFailOn(true, true)]).toEqual([]);
  });

  it('reads words with commas', () => {
    expect(parseFailOn(undefined)).toBeNull();
    expect([...(parseFailOn('denied, drift') ?? [])]).toEqual(['denied', 'drift']);
    expect([...(parseFailOn('none') ?? [1])]).toEqual([]);
  });

  it.each(['', 'deny', 'none,drift', 'denied,', 'denied drift'])('refuses %j', (text) => {
    expect(() => parseFailOn(text)).toThrow(/--fail-on/);
  });
});
