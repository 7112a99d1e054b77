import fc from 'fast-check';
import { expect, test } from 'vitest';
import { wantsColour } from '../../audit/columns.ts';
import type { AuditEntry } from '../../audit/event.ts';
import { formatEvent } from '../../audit/event-text.ts';
import { formatRunHeader } from '../../audit/header.ts';
import { summarize } from '../../audit/summary.ts';
import { formatAuthority, formatBytes, formatTable } from '../../audit/table.ts';
import { displayWidth } from '../../audit/width.ts';
import { expectGolden } from './golden.ts';
import {
  ALLOWED,
  close,
  connection,
  dns,
  eventsOf,
  FULL_ENTRIES,
  POLICY,
  runEnd,
  runStart,
  unplanted,
} from './samples.ts';

const RUN: readonly AuditEntry[] = [
  dns({
    ...ALLOWED,
    name: 'api.example.com',
    disposition: 'answered',
    rcode: 'NOERROR',
    answer: ['198.18.0.1'],
  }),
  connection({ ...ALLOWED, connection: 1, host: 'api.example.com' }),
  close({ connection: 1 }),
  connection({
    ...ALLOWED,
    connection: 2,
    host: '2001:db8::7',
    port: 22,
    protocol: 'tcp',
    via: 'transparent',
  }),
  close({ connection: 2, host: '2001:db8::7', port: 22, bytesIn: 300, reason: 'limit-bytes' }),
  dns(),
  connection(),
  connection({
    host: 'gist.github.com',
    reason: 'deny-rule',
    rule: {
      id: 'web-app/deny:gist.github.com',
      file: '/srv/日本語/a-rather-long-path/sand.policy.yaml',
      line: 23,
    },
  }),
  connection({ ...ALLOWED, host: 'maybe.example', reason: 'would-be-denied', rule: null }),
  connection({ host: `a.very.long.name.${'x'.repeat(60)}.example` }),
  connection({ host: 'stats.telemetry.example', muted: true }),
  unplanted(),
];
const rows = summarize(eventsOf(RUN)).rows;

/** Everything in text that is not a line feed and could act on a terminal, but our own colours. */
const RAW = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
const OUR_COLOURS = /\u001b\[\d+m/g;

test('the table of a run, as wide as it wants', () => {
  expectGolden('table-wide.txt', formatTable(rows));
});

test('the table of a run on 100 columns', () => {
  const table = formatTable(rows, { columns: 100, colour: false });
  expectGolden('table-100.txt', table);
  for (const line of table.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(100);
});

test('the table of a run in colour', () => {
  const all = summarize(eventsOf(RUN), { muted: true }).rows;
  expectGolden('table-colour.txt', formatTable(all, { columns: null, colour: true }));
});

test('no rows give no table', () => {
  expect(formatTable([])).toBe('');
});

test('a table fits 80 columns', () => {
  const table = formatTable(rows, { columns: 80, colour: false });
  expect(Math.max(...table.split('\n').map(displayWidth))).toBeLessThanOrEqual(80);
});

test('the header of a run', () => {
  const [start, end] = [
    eventsOf([runStart({ command: ['sh', '-c', "echo 'hi there'"] })])[0],
    runEnd({ exitCode: 3 }),
  ];
  if (start?.kind !== 'run-start') throw new Error('no start');
  expectGolden('header.txt', formatRunHeader({ run: start.run, start, end }));
  const { policy } = start;
  const phased = { ...start, policy: { ...policy, phases: ['setup', 'run', 'after'] }, before: ['npm ci'] };
  const [begun] = eventsOf([{ kind: 'phase', phase: 'run', number: 2, policy: POLICY, by: 'command' }]);
  if (begun?.kind !== 'phase') throw new Error('no phase');
  expectGolden('header-phases.txt', formatRunHeader({ run: start.run, start: phased, end, begun: [begun] }));
  expectGolden('header-unsealed.txt', formatRunHeader({ run: start.run, start: null, end: null }));
});

test('one line for each kind of event', () => {
  expectGolden(
    'events.txt',
    eventsOf([...FULL_ENTRIES.slice(0, -1), ...RUN, runEnd()])
      .map((event) => formatEvent(event))
      .join(''),
  );
});

test('nothing that a guest names can act on the terminal or forge a line', () => {
  const attacks = [
    '\u001b[2J\u001b[1;1H',
    '\u001b]0;title\u0007',
    '\u009b31m',
    'a\nallowed  good.example:443',
    '\r\u001b[K',
    '\u202egnp.exe',
    '\u2066',
    '\u200b',
    '\ud800',
    '\u2028',
    '\t',
  ];
  const text = fc
    .array(fc.oneof(fc.constantFrom(...attacks), fc.string({ unit: 'binary', maxLength: 8 })))
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.boolean(), (evil, colour) => {
      const rule = { id: evil, file: evil, line: 3, because: evil };
      const terminal = { columns: 90, colour };
      const entries: AuditEntry[] = [
        runStart({
          command: [evil],
          workdir: evil,
          run: evil,
          policy: { name: evil, digest: evil, mode: evil, layers: [evil] },
        }),
        dns({ name: evil, detail: evil, type: evil, rcode: evil, answer: [evil] }),
        connection({ host: evil, path: evil, method: evil, rule, detail: evil, suggestion: evil }),
        unplanted({ host: evil }),
        { kind: 'notice', code: evil, detail: evil },
        { kind: 'probe', name: evil, passed: false, detail: evil },
      ];
      const events = eventsOf(entries);
      const table = formatTable(summarize(events).rows, terminal);
      const [start] = events;
      const header =
        start?.kind === 'run-start' ? formatRunHeader({ run: evil, start, end: null }, terminal) : '';
      const lines = events.map((event) => formatEvent(event, terminal));
      for (const shown of [table, header, ...lines]) expect(shown.replace(OUR_COLOURS, '')).not.toMatch(RAW);
      expect(table.split('\n')).toHaveLength(summarize(events).rows.length + 2);
      expect(header.split('\n')).toHaveLength(8);
      for (const line of lines) expect(line.split('\n')).toHaveLength(2);
    }),
    { numRuns: 50 },
  );
});

test('colour is for terminals without NO_COLOR', () => {
  expect(wantsColour({ isTTY: true }, {})).toBe(true);
  expect(wantsColour({ isTTY: true }, { NO_COLOR: '' })).toBe(true);
  expect(wantsColour({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
  expect(wantsColour({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
  expect(wantsColour({ isTTY: false }, {})).toBe(false);
  expect(wantsColour({}, {})).toBe(false);
});

test('bytes and authorities as people write them', () => {
  expect([0, 1023, 1024, 1536, 1024 ** 2, 5 * 1024 ** 4, 2 ** 60].map(formatBytes)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '1.0 MiB',
    '5.0 TiB',
    '1024.0 PiB',
  ]);
  expect(formatAuthority({ host: '2001:db8::1', port: 53 })).toBe('[2001:db8::1]:53');
  expect(formatAuthority({ host: 'a.example', port: null })).toBe('a.example');
});
