import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FORMATS, type Format, planReports, reportText } from '../../../../controller/cli/ci/reports.ts';
import { denied, row } from '../../ci/samples.ts';
import { EVERYTHING, HOSTILE, NOTHING, outcomeOf, SPOILED } from './outcomes.ts';

function expectGolden(name: string, actual: string): void {
  const file = new URL(`golden/${name}`, import.meta.url);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, actual);
  expect(actual).toBe(readFileSync(file, 'utf8'));
}

const NAMES: Readonly<Record<Format, string>> = {
  json: 'report.golden.json',
  markdown: 'report.markdown.txt',
  sarif: 'report.sarif',
  junit: 'report.xml',
};
/** One line to a person is a page to a reviewer. */
const pretty = (text: string): string => `${JSON.stringify(JSON.parse(text), null, 2)}\n`;

describe('a report of sand ci', () => {
  it.each(FORMATS)('as %s holds all that was found', (format) => {
    const text = reportText(format, EVERYTHING);
    expectGolden(NAMES[format], format === 'json' || format === 'sarif' ? pretty(text) : text);
  });

  it('says little of a run without findings', () => {
    expectGolden('nothing.markdown.txt', reportText('markdown', NOTHING));
    expect(reportText('junit', NOTHING)).toContain('tests="1" failures="0" errors="0"');
    expect(JSON.parse(reportText('sarif', NOTHING)).runs[0].results).toEqual([]);
  });

  it('is as long as a comment may be, whatever the guest asked for', () => {
    const many = Array.from({ length: 3_000 }, (_, at) => [
      denied(`${'|'.repeat(290)}${at}`, {
        detail: '<'.repeat(300),
        suggestion: `- allow: ${'"'.repeat(250)}${at}`,
      }),
      row({
        host: `${'`'.repeat(290)}${at}`,
        rule: { id: '*'.repeat(1_000), file: '_'.repeat(4_000), line: at },
      }),
    ]).flat();
    const outcome = outcomeOf(many, [], { command: Array.from({ length: 128 }, () => '|'.repeat(300)) });
    expect(reportText('markdown', outcome).length).toBeLessThan(60_000);
    expect(JSON.parse(reportText('sarif', outcome)).runs[0].results).toHaveLength(5_000);
  });
});

describe('what a guest writes into a report', () => {
  it('is no Markdown, whatever it is', () => {
    const text = reportText('markdown', SPOILED);
    expectGolden('spoiled.markdown.txt', text);
    const outside = text.replaceAll(/`[^`\n]*`/g, 'code');
    expect(outside.match(/<\/?details>/g)).toHaveLength(2);
    expect(outside).not.toMatch(/<img|@everyone|\]\(|```/);
    expect(text).not.toMatch(/##\[|^\s*::|\u202e|\0/m);
    for (const line of text.split('\n').filter((one) => one.startsWith('| '))) {
      const cells = line.replaceAll(/`[^`]*`/g, 'code').split('|');
      expect([4, 5, 6, 7]).toContain(cells.length);
    }
  });

  it('is no XML', () => {
    const text = reportText('junit', SPOILED);
    const tags = [...text.matchAll(/<\/?([^\s/>?]*)/g)].map(([, name]) => name);
    expect(new Set(tags)).toEqual(new Set(['', 'testsuites', 'testsuite', 'testcase', 'failure', 'error']));
    expect(text).not.toMatch(/[\0-\x08\x0b-\x1f\u202e]|]]>/);
    expect(text).not.toMatch(/="[^"<]*</);
  });

  it.each(['json', 'sarif'] as const)('stands in %s as it is, on one line', (format) => {
    const text = reportText(format, SPOILED);
    expect(text.match(/\n/g)).toHaveLength(1);
    expect(text).not.toMatch(/\u202e|\0/);
    if (format === 'json')
      expect(JSON.parse(text).denied.map(({ host }: { host: string }) => host)).toEqual(HOSTILE);
  });
});

describe('--report', () => {
  it('names a format and a file', () => {
    expect(planReports(['json=-', 'junit=./x.xml'], '/tmp')).toMatchObject([
      { format: 'json', place: null },
      { format: 'junit', place: { path: '/tmp/x.xml' } },
    ]);
  });

  it.each([
    [['html=x']],
    [['json']],
    [['json=']],
    [['=x']],
    [['json=-', 'sarif=-']],
    [Array<string>(17).fill('json=x')],
  ])('refuses %j', (texts) => expect(() => planReports(texts, '/tmp')).toThrow(/report/));
});
