import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AuditEntry } from '../../audit/event.ts';
import { SUMMARY_LIMITS } from '../../audit/limits.ts';
import { OTHER_HOSTS, type Row, Summary, summarize } from '../../audit/summary.ts';
import {
  ALLOWED,
  close,
  connection,
  dns,
  eventsOf,
  FULL_ENTRIES,
  NO_RULE,
  runStart,
  unplanted,
} from './samples.ts';

function rowsOf(...entries: readonly AuditEntry[]): readonly Row[] {
  return summarize(eventsOf(entries)).rows;
}

const api = { ...ALLOWED, host: 'api.example.com' };
const lookup = { ...ALLOWED, disposition: 'answered', name: 'api.example.com', rcode: 'NOERROR' } as const;

test('repeats fold into one row with its count and times', () => {
  const rows = rowsOf(
    connection({ connection: 1 }),
    connection({ connection: 2 }),
    connection({ connection: 3 }),
  );
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({
    count: 3,
    first: '2026-11-21T20:15:00.000Z',
    last: '2026-11-21T20:15:02.000Z',
  });
});

test('a line that stands for a flood counts as what it stands for', () => {
  const over = { reason: 'limit-requests' } as const;
  expect(rowsOf(connection(over), connection({ ...over, count: 8_976 }))).toMatchObject([{ count: 8_977 }]);
  expect(rowsOf(dns(over), dns({ ...over, count: 500 }))).toMatchObject([{ count: 501 }]);
});

test('another port, protocol, reason, rule or asker is another row', () => {
  const rule = { id: 'r', file: 'f', line: 1 };
  const rows = rowsOf(
    connection(),
    connection({ port: 8443 }),
    connection({ protocol: 'tcp' }),
    connection({ reason: 'port-not-allowed' }),
    connection({ reason: 'deny-rule', rule }),
    connection({ reason: 'deny-rule', rule: { ...rule, line: 2 } }),
    connection({ asker: 'host' }),
  );
  expect(rows).toHaveLength(7);
});

test('denied comes first, then would-be-denied, failed, allowed; inside by count', () => {
  const rows = rowsOf(
    connection({ ...api, connection: 1 }),
    connection({ ...api, host: 'down.example', reason: 'upstream-refused', disposition: 'refused' }),
    connection({ ...ALLOWED, host: 'maybe.example', reason: 'would-be-denied', rule: null }),
    connection({ host: 'once.example' }),
    connection({ host: 'twice.example' }),
    connection({ host: 'twice.example' }),
  );
  expect(rows.map((row) => [row.verdict, row.host])).toEqual([
    ['denied', 'twice.example'],
    ['denied', 'once.example'],
    ['would-be-denied', 'maybe.example'],
    ['failed', 'down.example'],
    ['allowed', 'api.example.com'],
  ]);
});

test('a host that was denied by DNS and by the proxy is one row', () => {
  const rows = rowsOf(
    dns(),
    dns({ type: 'AAAA' }),
    connection({ suggestion: '- allow: evil.example' }),
    connection(),
  );
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({
    verdict: 'denied',
    host: 'evil.example',
    port: 443,
    how: ['dns', 'https'],
    count: 2,
    questions: 2,
    suggestion: '- allow: evil.example',
    first: '2026-11-21T20:15:00.000Z',
  });
});

test('a denied lookup alone is a row of its own that counts questions', () => {
  expect(rowsOf(dns(), dns({ type: 'AAAA' }))).toMatchObject([{ port: null, how: ['dns'], count: 2 }]);
});

test('a denied lookup never hides in an allowed connection', () => {
  const rows = rowsOf(connection(api), dns({ name: 'api.example.com', reason: 'limit-names' }));
  expect(rows.map((row) => row.verdict)).toEqual(['denied', 'allowed']);
});

test('an allowed lookup goes into the row of its connection, also when that was denied', () => {
  expect(rowsOf(dns(lookup), connection(api))).toMatchObject([
    { verdict: 'allowed', how: ['dns', 'https'], count: 1 },
  ]);
  const mismatch = { ...NO_RULE, host: 'api.example.com', reason: 'sni-mismatch' } as const;
  expect(rowsOf(dns(lookup), connection(mismatch))).toMatchObject([
    { verdict: 'denied', reason: 'sni-mismatch' },
  ]);
});

test('a withheld record type is no denial', () => {
  const rows = rowsOf(
    dns({ name: 'api.example.com', type: 'HTTPS', reason: 'dns-type-withheld' }),
    connection(api),
  );
  expect(rows).toMatchObject([{ verdict: 'allowed', reason: 'allowed-by-rule', how: ['dns', 'https'] }]);
});

test('what sand refuses is denied though the rules allow it', () => {
  const rows = rowsOf(connection({ ...api, disposition: 'refused', reason: 'limit-connections' }));
  expect(rows[0]?.verdict).toBe('denied');
});

test('bytes are summed from the closes, and endings kept', () => {
  const rows = rowsOf(
    connection({ ...api, connection: 1 }),
    connection({ ...api, connection: 2 }),
    close({ connection: 1, bytesOut: 10, bytesIn: 100 }),
    close({ connection: 2, bytesOut: 1, bytesIn: 2, reason: 'limit-bytes' }),
    close({ connection: 2, bytesOut: 5000, bytesIn: 5000 }),
    close({ connection: 99, bytesOut: 5000, bytesIn: 5000 }),
  );
  expect(rows).toMatchObject([{ count: 2, bytesOut: 11, bytesIn: 102, endings: ['limit-bytes'] }]);
});

test('unplanted attempts count as often as they were tried', () => {
  expect(rowsOf(unplanted({ count: 3 }), unplanted({ count: 4 }))).toMatchObject([
    { count: 7, how: ['tcp'], port: 25 },
  ]);
});

test('muted rows stay out unless asked, and are counted', () => {
  const events = eventsOf([
    connection({ muted: true }),
    connection({ muted: true }),
    connection({ host: 'b.example' }),
  ]);
  expect(summarize(events)).toMatchObject({ rows: [{ host: 'b.example', muted: false }], mutedCount: 2 });
  expect(summarize(events, { muted: true })).toMatchObject({ rows: [{ muted: true }, {}], mutedCount: 0 });
});

test('a row with one event that is not muted is shown', () => {
  expect(rowsOf(connection({ muted: true }), connection())).toMatchObject([{ count: 2, muted: false }]);
});

test('what has no protocol is told by the door it came through', () => {
  const how = (via: 'forward' | 'connect' | 'socks' | 'transparent') =>
    rowsOf(connection({ via, protocol: null }))[0]?.how.join();
  expect(['forward', 'connect', 'socks', 'transparent'].map((via) => how(via as 'forward'))).toEqual([
    'http',
    'connect',
    'socks',
    'tcp',
  ]);
});

test('a flood of names folds into one row and loses no count', () => {
  const summary = new Summary();
  const [event] = eventsOf([dns()]);
  if (event?.kind !== 'dns') throw new Error('not a lookup');
  const names = SUMMARY_LIMITS.rows + 500;
  for (let i = 0; i < names; i += 1) summary.add({ ...event, name: `h${i}.evil.example` });
  const { rows } = summary.rows();
  expect(rows).toHaveLength(SUMMARY_LIMITS.rows + 1);
  expect(rows[0]).toMatchObject({ host: OTHER_HOSTS, verdict: 'denied', count: 500 });
  expect(rows.reduce((sum, row) => sum + row.count, 0)).toBe(names);
});

test('asking for the rows twice gives the same rows', () => {
  const summary = new Summary();
  for (const event of eventsOf([dns(), connection(), ...FULL_ENTRIES])) summary.add(event);
  expect(summary.rows()).toEqual(summary.rows());
});

test('every request is in one row, whatever the order of events', () => {
  const entry = fc.constantFrom<AuditEntry>(
    connection({ host: 'a.example' }),
    connection({ host: 'a.example', port: 80, protocol: 'http' }),
    connection({ ...ALLOWED, host: 'b.example' }),
    unplanted({ count: 1 }),
    runStart(),
  );
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 30 }), (entries) => {
      const rows = rowsOf(...entries);
      expect(rows.reduce((sum, row) => sum + row.count, 0)).toBe(
        entries.filter((one) => one.kind !== 'run-start').length,
      );
    }),
  );
});

test('told apart by process: one row a command line, its lookups in it, unknown ones on their own', () => {
  const curl = { process: { pid: 7, command: 'curl evil.example' } };
  const entries = [
    dns(curl),
    connection(curl),
    connection({ process: { pid: 8, command: 'curl evil.example' } }),
    connection({ process: { pid: 9, command: 'git fetch' } }),
    connection(),
  ];
  const summary = new Summary({ byProcess: true });
  for (const event of eventsOf(entries)) summary.add(event);
  expect(summary.rows().rows.map(({ process, count, questions }) => [process, count, questions])).toEqual([
    ['curl evil.example', 2, 1],
    [null, 1, 0],
    ['git fetch', 1, 0],
  ]);
  expect(rowsOf(...entries)).toMatchObject([{ count: 4, questions: 1 }]);
  expect(rowsOf(...entries)[0]).not.toHaveProperty('process');
});
