import { expect, test } from 'vitest';
import {
  parseAge,
  parseFilters,
  parseLimit,
  parseMoment,
  parseSize,
} from '../../../controller/cli/audit-flags.ts';
import { SandError } from '../../../controller/errors.ts';

const NOW = Date.UTC(2026, 10, 21, 20, 15, 0);
const NONE = { denied: false, host: [], rule: [], kind: [] };

/** The hint of the error of wrong use; fails where there is none. */
function hintOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof SandError && error.code === 'usage') return error.hint;
    throw error;
  }
  throw new Error('nothing was raised');
}

test.each([
  ['10m', NOW - 600_000],
  ['2d', NOW - 172_800_000],
  ['1.5h', NOW - 5_400_000],
  ['14:30', Date.UTC(2026, 10, 21, 14, 30)],
  ['14:30:05.250', Date.UTC(2026, 10, 21, 14, 30, 5, 250)],
  ['2026-11-20', Date.UTC(2026, 10, 20)],
  ['2026-11-20 08:00', Date.UTC(2026, 10, 20, 8)],
  ['2026-11-20T08:00:00Z', Date.UTC(2026, 10, 20, 8)],
  ['2026-11-20T08:00:00+02:00', Date.UTC(2026, 10, 20, 6)],
  ['2026-11-20T08:00:00.123Z', Date.UTC(2026, 10, 20, 8, 0, 0, 123)],
])('a time reads: %s', (text, instantMs) => {
  expect(parseMoment('--since', text, NOW)).toBe(instantMs);
});

test.each([
  '',
  'yesterday',
  '10',
  '10M',
  '-5m',
  '2026-02-31',
  '2026-13-01',
  '25:00',
  '2026-11-20T08:00:00+99:00',
  '2026-11-20TZ',
  '2026-11-20 08:00 UTC',
  '99999999w',
])('no time: %j', (text) => {
  expect(hintOf(() => parseMoment('--since', text, NOW))).toContain('--since 10m');
});

test('durations and sizes, and what to write where they do not read', () => {
  expect([parseAge('--older-than', '30d'), parseAge('--older-than', '1w')]).toEqual([
    2_592_000_000, 604_800_000,
  ]);
  expect(hintOf(() => parseAge('--older-than', '30'))).toContain('--older-than 30d');
  expect(
    ['0', '500', '64k', '64KiB', '2M', '2MiB', '1g'].map((text) => parseSize('--bytes-over', text)),
  ).toEqual([0, 500, 65_536, 65_536, 2 * 1024 ** 2, 2 * 1024 ** 2, 1024 ** 3]);
  for (const text of ['', '10MB', '1.5g', '-1', '999999999999t'])
    expect(hintOf(() => parseSize('--bytes-over', text))).toContain('--bytes-over 64KiB');
  expect(parseLimit('--limit', '7', 10)).toBe(7);
  for (const text of ['0', '11', 'x', '1e1']) hintOf(() => parseLimit('--limit', text, 10));
});

test('filters become criteria', () => {
  expect(parseFilters(NONE, NOW)).toMatchObject({ denied: false, hosts: [], sinceMs: null, bytesOver: null });
  expect(
    parseFilters(
      {
        denied: true,
        host: ['*.example.com', '10.0.0.0/8'],
        rule: ['a/allow:b'],
        kind: ['dns,close', 'notice'],
        since: '1h',
        until: '5m',
        bytesOver: '1k',
      },
      NOW,
    ),
  ).toMatchObject({
    denied: true,
    hosts: [{ kind: 'names' }, { kind: 'range' }],
    rules: ['a/allow:b'],
    kinds: ['dns', 'close', 'notice'],
    sinceMs: NOW - 3_600_000,
    untilMs: NOW - 300_000,
    bytesOver: 1024,
  });
});

test('wrong patterns, kinds and spans say what to write', () => {
  expect(hintOf(() => parseFilters({ ...NONE, host: ['*'] }, NOW))).toContain('example.com');
  expect(hintOf(() => parseFilters({ ...NONE, kind: ['denied'] }, NOW))).toContain('connection');
  expect(hintOf(() => parseFilters({ ...NONE, since: '1h', until: '2h' }, NOW))).toContain('earlier');
});
