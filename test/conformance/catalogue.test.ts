import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readCatalogue } from './catalogue.ts';
import { runEngineCase } from './engine.ts';
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

  it('has every case that the document names beside a guard', () => {
    const document = readFileSync(new URL('../../docs/conformance.md', import.meta.url), 'utf8');
    const rows = document.split('\n').filter((line) => line.includes('.ts` |'));
    const named = rows.flatMap((row) =>
      [...(row.split('|')[3] ?? '').matchAll(/`([^`]+)`/g)].map(([, id]) => id),
    );
    expect(named.length).toBeGreaterThan(40);
    const ids = cases.map(({ id }) => id);
    expect(named.filter((id) => id === undefined || !ids.includes(id))).toEqual([]);
  });

  it('has at least 300 cases, and a third of them are uses that must work', () => {
    expect(cases.length).toBeGreaterThanOrEqual(300);
    const allowed = cases.filter(({ verdict }) => verdict === 'allow');
    expect(allowed.length * 3).toBeGreaterThanOrEqual(cases.length);
  });
});
