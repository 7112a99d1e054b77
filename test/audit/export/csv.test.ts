import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AuditEntry } from '../../../audit/event.ts';
import { CSV_COLUMNS, createCsvEncoder, formatCell } from '../../../audit/export/csv.ts';
import { expectGolden } from '../golden.ts';
import { connection, dns, eventsOf, FULL_ENTRIES } from '../samples.ts';

function csvOf(...entries: readonly AuditEntry[]): string {
  const encoder = createCsvEncoder();
  return [encoder.begin(), ...eventsOf(entries).map(encoder.event), encoder.end()].join('');
}

/** RFC 4180, as strict as its grammar: a quote stands only around a cell or doubled in it. */
function parseCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let at = 0;
  while (at < text.length) {
    const row: string[] = [];
    for (;;) {
      const quoted = /^"((?:[^"]|"")*)"/.exec(text.slice(at));
      const plain = /^[^",\r\n]*/.exec(text.slice(at));
      row.push(quoted === null ? (plain?.[0] ?? '') : (quoted[1] ?? '').replaceAll('""', '"'));
      at += quoted === null ? (plain?.[0].length ?? 0) : quoted[0].length;
      if (text[at] !== ',') break;
      at += 1;
    }
    if (text.slice(at, at + 2) !== '\r\n') throw new Error(`no line end at ${at}`);
    at += 2;
    rows.push(row);
  }
  return rows;
}

test('a row for each event, the same columns for every kind', () => {
  const text = csvOf(...FULL_ENTRIES);
  expectGolden('export.csv', text);
  const rows = parseCsv(text);
  expect(rows).toHaveLength(FULL_ENTRIES.length + 1);
  expect(rows[0]).toEqual(CSV_COLUMNS);
  for (const row of rows) expect(row).toHaveLength(CSV_COLUMNS.length);
});

test.each([
  ['=HYPERLINK("http://evil.example")', '"\'=HYPERLINK(""http://evil.example"")"'],
  ['+1+1', "'+1+1"],
  ['-2+3', "'-2+3"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\t=1', "'\\x09=1"],
  ['\r=1', "'\\x0d=1"],
  ['\n=1', "'\\x0a=1"],
  ['\tx', "'\\x09x"],
  ['\uff1d1+1', "'\uff1d1+1"],
  ['- allow: evil.example', "'- allow: evil.example"],
])('no cell is a formula: %j', (text, cell) => {
  expect(formatCell(text)).toBe(cell);
});

test('numbers stay numbers, nothing is empty, and a plain text is itself', () => {
  expect([formatCell(-3), formatCell(0), formatCell(true), formatCell(null), formatCell(undefined)]).toEqual([
    '-3',
    '0',
    'true',
    '',
    '',
  ]);
  expect(formatCell('api.example.com')).toBe('api.example.com');
  expect(formatCell('a,"b"')).toBe('"a,""b"""');
});

test('whatever a guest asks for, a cell is one cell, and none begins a formula', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('=', '"', ',', '\r', '\n', '+', 'a') }),
  );
  fc.assert(
    fc.property(text, text, (name, detail) => {
      const [, row, ...rest] = parseCsv(csvOf(dns({ name, detail })));
      expect(rest).toEqual([]);
      expect(row).toHaveLength(CSV_COLUMNS.length);
      for (const cell of row ?? []) expect(cell).not.toMatch(/^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/u);
    }),
  );
});

test('a method or path cannot begin a row', () => {
  expect(csvOf(connection({ method: 'GET', path: '/a\r\n=1' })).split('\r\n')).toHaveLength(3);
});
