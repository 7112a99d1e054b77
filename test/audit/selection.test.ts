import { expect, test } from 'vitest';
import type { AuditEntry } from '../../audit/event.ts';
import { SUMMARY_LIMITS } from '../../audit/limits.ts';
import {
  type CloseRule,
  type Criteria,
  EVERYTHING,
  type HostChoice,
  parseHostChoice,
  Selection,
  selectsAll,
} from '../../audit/selection.ts';
import {
  ALLOWED,
  close,
  connection,
  dns,
  eventsOf,
  FULL_ENTRIES,
  inbound,
  runEnd,
  runStart,
  START_MS,
  unplanted,
} from './samples.ts';

const LOG: readonly AuditEntry[] = [
  runStart(),
  dns(),
  connection(),
  connection({ ...ALLOWED, connection: 2, host: 'api.example.com' }),
  close({ connection: 2, bytesOut: 500, bytesIn: 600 }),
  connection({ ...ALLOWED, connection: 3, host: 'maybe.example', reason: 'would-be-denied', rule: null }),
  close({ connection: 3, bytesOut: 0, bytesIn: 10 }),
  unplanted(),
  inbound(),
  close({ connection: 7, host: '127.0.0.1', port: 51_234, bytesOut: 9_000, bytesIn: 1 }),
  inbound({ connection: 8, disposition: 'refused', reason: 'guest-port-closed' }),
  runEnd(),
];

/** The numbers of the events that are selected. */
function selected(
  criteria: Partial<Criteria>,
  closes: CloseRule = 'by itself',
  log = LOG,
): readonly number[] {
  const selection = new Selection({ ...EVERYTHING, ...criteria }, closes);
  return eventsOf(log)
    .filter((event) => selection.has(event))
    .map(({ seq }) => seq);
}

function host(text: string): HostChoice {
  const read = parseHostChoice(text);
  if (!read.ok) throw new Error(read.message);
  return read.value;
}

test('without criteria everything is selected, whatever its kind', () => {
  expect(selectsAll(EVERYTHING)).toBe(true);
  for (const closes of ['by itself', 'with its connection'] as const) {
    expect(selected({}, closes)).toHaveLength(LOG.length);
  }
  expect(selected({}, 'by itself', FULL_ENTRIES)).toHaveLength(FULL_ENTRIES.length);
});

test('denied: what was, what would have been with its close, and refusals of what came in', () => {
  expect(selectsAll({ ...EVERYTHING, denied: true })).toBe(false);
  expect(selected({ denied: true })).toEqual([2, 3, 6, 7, 8, 11]);
});

test('a host pattern means what it means in a policy, and takes the close along', () => {
  expect(selected({ hosts: [host('api.example.com')] })).toEqual([4, 5]);
  expect(selected({ hosts: [host('example.com')] })).toEqual([]);
  expect(selected({ hosts: [host('*.example.com')] })).toEqual([4, 5]);
  expect(selected({ hosts: [host('**.example.com')] })).toEqual([4, 5]);
  expect(selected({ hosts: [host('EVIL.example')] })).toEqual([2, 3]);
  expect(selected({ hosts: [host('203.0.113.0/24')] })).toEqual([8]);
  expect(selected({ hosts: [host('203.0.113.9'), host('maybe.example')] })).toEqual([6, 7, 8]);
  expect(selected({ hosts: [host('127.0.0.1')] })).toEqual([9, 10, 11]);
});

test('what is no host pattern is refused with what to write', () => {
  for (const text of [
    '*',
    'a.*',
    '10.0.0.0/99',
    'exa mple.com',
    '',
    '*.example.com:443',
    'https://example.com',
  ]) {
    expect(parseHostChoice(text)).toMatchObject({ ok: false, hint: expect.stringMatching(/\w/) });
  }
  expect(host('2001:db8::/32').kind).toBe('range');
  expect(host('[2001:db8::7]').kind).toBe('range');
  expect(host('host.sand').kind).toBe('names');
});

test('an escaped name of a hostile guest matches no pattern and is survived', () => {
  const log = [dns({ name: 'a\u202eb.example' }), dns({ name: '-'.repeat(300) }), dns({ name: '' })];
  expect(selected({ hosts: [host('**.example')] }, 'by itself', log)).toEqual([1]);
  expect(selected({ hosts: [host('10.0.0.0/8')] }, 'by itself', log)).toEqual([]);
});

test('rules by id or by place', () => {
  expect(selected({ rules: ['web-app/allow:api.example.com'] })).toEqual([4, 5]);
  expect(selected({ rules: ['/srv/app/sand.policy.yaml:5'] })).toEqual([4, 5]);
  expect(selected({ rules: ['web-app'] })).toEqual([]);
});

test('times: from the first, and before the second', () => {
  expect(selected({ sinceMs: START_MS + 9_000 })).toEqual([10, 11, 12]);
  expect(selected({ untilMs: START_MS + 2_000 })).toEqual([1, 2]);
  expect(selected({ sinceMs: START_MS + 1_000, untilMs: START_MS + 3_000 })).toEqual([2, 3]);
});

test('a close counts with its connection when rows are folded, and by its own time as a single event', () => {
  const time = { sinceMs: START_MS + 3_000, untilMs: START_MS + 4_000 };
  expect(selected(time, 'with its connection')).toEqual([4, 5]);
  expect(selected(time, 'by itself')).toEqual([4]);
  expect(selected({ sinceMs: START_MS + 4_000, untilMs: START_MS + 5_000 }, 'with its connection')).toEqual(
    [],
  );
  expect(selected({ sinceMs: START_MS + 4_000, untilMs: START_MS + 5_000 }, 'by itself')).toEqual([5]);
});

test('kinds', () => {
  expect(selected({ kinds: ['dns', 'run-end'] })).toEqual([2, 12]);
  expect(selected({ kinds: ['close'] })).toEqual([5, 7, 10]);
  expect(selected({ kinds: ['close'], hosts: [host('api.example.com')] })).toEqual([5]);
  expect(selected({ kinds: ['inbound'] }, 'with its connection')).toEqual([9, 10, 11]);
});

test('bytes over: single closes that moved more, both ways together', () => {
  expect(selected({ bytesOver: 1_099 })).toEqual([5, 10]);
  expect(selected({ bytesOver: 1_100 })).toEqual([10]);
  expect(selected({ bytesOver: 5, denied: true })).toEqual([7]);
});

test('a log without closes keeps no more than its bound', () => {
  const selection = new Selection({ ...EVERYTHING, denied: true }, 'by itself');
  const [one] = eventsOf([connection()]);
  if (one?.kind !== 'connection') throw new Error('no connection');
  for (let at = 0; at <= SUMMARY_LIMITS.openConnections; at += 1) selection.has({ ...one, connection: at });
  const [end] = eventsOf([close()]);
  if (end?.kind !== 'close') throw new Error('no close');
  expect(selection.has({ ...end, connection: 0 })).toBe(false);
  expect(selection.has({ ...end, connection: 1 })).toBe(true);
});
