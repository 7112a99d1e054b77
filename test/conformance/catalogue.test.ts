import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readCatalogue } from './catalogue.ts';
import { runEngineCase } from './engine.ts';
import { readGuards, removeGuard } from './guards.ts';
import { runScenario } from './scenario.ts';

const catalogue = readCatalogue();

const here = catalogue.filter(({ cases }) => cases.some(({ needs }) => needs !== 'guest'));

describe.each(here)('$topic', ({ cases, policies }) => {
  for (const test of cases) {
    // Those run in `test/e2e/conformance.test.ts`.
    if (test.needs === 'guest') continue;
    it(`${test.id}: ${test.what}`, { timeout: 15_000 }, async () => {
      if (test.needs === 'engine') runEngineCase(test, policies);
      else await runScenario(test, policies);
    });
  }
});

describe('the catalogue', () => {
  const cases = catalogue.flatMap((topic) => topic.cases);

  it('names each case once', () => {
    const ids = cases.map(({ id }) => id);
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
  });

  it('has every case that turns red without a guard', () => {
    const named = readGuards().flatMap(({ red, test }) => (test === undefined ? red : []));
    expect(named.filter((id) => !cases.some((one) => one.id === id))).toEqual([]);
  });

  it('has at least 300 cases, and a third of them are uses that must work', () => {
    expect(cases.length).toBeGreaterThanOrEqual(300);
    const allowed = cases.filter(({ verdict }) => verdict === 'allow');
    expect(allowed.length * 3).toBeGreaterThanOrEqual(cases.length);
  });
});

describe('the guards', () => {
  const root = new URL('../../', import.meta.url);

  it('beyond the catalogue are held by tests that are there', () => {
    for (const { guard, test, red } of readGuards()) {
      if (test === undefined) continue;
      const source = readFileSync(new URL(test, root), 'utf8');
      expect(
        red.filter((title) => !source.includes(title)),
        guard,
      ).toEqual([]);
    }
  });

  it('can be removed where they stand, each in one place', () => {
    for (const guard of readGuards()) {
      const source = readFileSync(new URL(guard.file, root), 'utf8');
      expect(removeGuard(source, guard), guard.guard).not.toBe(source);
    }
  });
});
