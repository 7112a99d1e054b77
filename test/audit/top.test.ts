import { expect, test } from 'vitest';
import type { AuditEntry } from '../../audit/event.ts';
import { SUMMARY_LIMITS } from '../../audit/limits.ts';
import { OTHER_HOSTS, summarize } from '../../audit/summary.ts';
import { TopHosts, type TopOptions, topOfRows } from '../../audit/top.ts';
import {
  ALLOWED,
  close,
  connection,
  dns,
  eventsOf,
  FULL_ENTRIES,
  inbound,
  runStart,
  unplanted,
} from './samples.ts';

function topOf(entries: readonly AuditEntry[], options: TopOptions = {}) {
  const top = new TopHosts();
  for (const event of eventsOf(entries)) top.add(event);
  return top.result(options);
}

const api = { ...ALLOWED, host: 'api.example.com' };
const lookup = { ...ALLOWED, disposition: 'answered', name: 'api.example.com', rcode: 'NOERROR' } as const;

const MIXED: readonly AuditEntry[] = [
  runStart(),
  dns(lookup),
  connection({ ...api, connection: 1 }),
  close({ connection: 1, bytesOut: 10, bytesIn: 1_000 }),
  connection({ ...api, connection: 2, port: 8443, protocol: 'tcp' }),
  close({ connection: 2, bytesOut: 5, bytesIn: 500 }),
  dns(),
  connection({ connection: 3 }),
  connection({ connection: 4, count: 6 }),
  connection({ ...ALLOWED, connection: 5, host: 'maybe.example', reason: 'would-be-denied', rule: null }),
  connection({ ...ALLOWED, connection: 6, host: 'down.example', reason: 'dns-failed' }),
  dns({ name: 'only-asked.example', count: 3 }),
  unplanted(),
];

test('one row a host, with what became of its requests and what was moved', () => {
  expect(topOf(MIXED).rows).toEqual([
    expect.objectContaining({ host: 'evil.example', requests: 7, denied: 7, lookups: 1, bytesIn: 0 }),
    expect.objectContaining({ host: '203.0.113.9', requests: 3, denied: 3, lookups: 0 }),
    expect.objectContaining({ host: 'only-asked.example', requests: 3, denied: 3, lookups: 3 }),
    {
      host: 'api.example.com',
      requests: 2,
      denied: 0,
      wouldBeDenied: 0,
      failed: 0,
      allowed: 2,
      bytesOut: 15,
      bytesIn: 1_500,
      lookups: 1,
      first: '2026-11-21T20:15:01.000Z',
      last: '2026-11-21T20:15:05.000Z',
    },
    expect.objectContaining({ host: 'maybe.example', requests: 1, wouldBeDenied: 1, denied: 0 }),
    expect.objectContaining({ host: 'down.example', requests: 1, failed: 1 }),
  ]);
});

test('by bytes and by denials; a limit cuts the rows and not the number of hosts', () => {
  const hosts = (options: TopOptions) => topOf(MIXED, options).rows.map(({ host }) => host);
  expect(hosts({ by: 'bytes' })[0]).toBe('api.example.com');
  expect(hosts({ by: 'denied' }).slice(0, 4)).toEqual([
    'evil.example',
    '203.0.113.9',
    'only-asked.example',
    'maybe.example',
  ]);
  expect(topOf(MIXED, { limit: 2 })).toMatchObject({ hosts: 6, rows: [{}, {}] });
  expect(hosts({ limit: 2 })).toHaveLength(2);
});

test('the sums are those of the folded rows, whatever the log', () => {
  for (const entries of [MIXED, FULL_ENTRIES]) {
    const { rows } = summarize(eventsOf(entries), { muted: true });
    const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
    const top = topOf(entries, { muted: true }).rows;
    expect(sum(top.map((row) => row.requests))).toBe(sum(rows.map((row) => row.count)));
    expect(sum(top.map((row) => row.denied + row.wouldBeDenied + row.failed + row.allowed))).toBe(
      sum(top.map((row) => row.requests)),
    );
    expect(topOfRows(rows)).toEqual(top);
  }
});

test('what is muted stays out, and is counted', () => {
  const entries = [connection(), connection({ host: 'stats.example', muted: true, count: 4 })];
  expect(topOf(entries)).toMatchObject({ rows: [{ host: 'evil.example' }], mutedCount: 4, hosts: 1 });
  expect(topOf(entries, { muted: true })).toMatchObject({ mutedCount: 0, hosts: 2 });
});

test('connections of two runs that have the same number are kept apart', () => {
  const top = new TopHosts();
  const run = (...entries: readonly AuditEntry[]) => {
    for (const event of eventsOf([runStart(), ...entries])) top.add(event);
  };
  run(connection({ ...ALLOWED, host: 'a.example', connection: 1 }));
  run(
    connection({ ...ALLOWED, host: 'b.example', connection: 2 }),
    close({ connection: 1, bytesIn: 7, bytesOut: 7 }),
    close({ connection: 2, bytesIn: 9, bytesOut: 0 }),
  );
  const { rows } = top.result();
  expect(rows.map(({ host, bytesIn }) => [host, bytesIn])).toEqual([
    ['b.example', 9],
    ['a.example', 0],
  ]);
  expect(top.result().rows).toEqual(rows);
});

test('what came in from the host, or was asked there, is no host that the guest asked for', () => {
  expect(topOf([dns({ asker: 'host' }), runStart(), dns({ asker: 'host' })]).rows).toEqual([]);
  expect(topOf([inbound(), close({ connection: 7, bytesIn: 5 })]).rows).toEqual([]);
});

test('more hosts than a report holds are counted together', () => {
  const top = new TopHosts();
  const half = SUMMARY_LIMITS.rows / 2 + 5;
  for (const from of [0, half])
    for (const event of eventsOf([runStart()])) {
      top.add(event);
      const [one] = eventsOf([connection()]);
      if (one?.kind !== 'connection') throw new Error('no connection');
      for (let at = from; at < from + half; at += 1) top.add({ ...one, host: `h${at}.example` });
    }
  const { rows, hosts } = top.result();
  expect(hosts).toBe(SUMMARY_LIMITS.rows + 1);
  expect(rows[0]).toMatchObject({ host: OTHER_HOSTS, requests: 10 });
});
