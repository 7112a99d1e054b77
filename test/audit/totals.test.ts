import { expect, test } from 'vitest';
import { summarize } from '../../audit/summary.ts';
import { totalsOf } from '../../audit/totals.ts';
import { ALLOWED, close, connection, dns, eventsOf, unplanted } from './samples.ts';

test('counts what became of requests, and names what was denied most often', () => {
  const events = eventsOf([
    connection({ ...ALLOWED, connection: 1 }),
    close({ connection: 1, bytesOut: 10, bytesIn: 20 }),
    dns(),
    dns(),
    unplanted({ count: 3 }),
    dns({ name: 'quiet.example', muted: true }),
    dns({ name: 'asked.example', asker: 'host' }),
  ]);
  expect(totalsOf(summarize(events))).toEqual({
    denied: 5,
    wouldBeDenied: 0,
    failed: 0,
    allowed: 1,
    muted: 1,
    bytesOut: 10,
    bytesIn: 20,
    topDenied: [
      { host: '203.0.113.9', port: 25, count: 3 },
      { host: 'evil.example', port: null, count: 2 },
    ],
  });
});

test('names no more than a few', () => {
  const events = eventsOf(Array.from({ length: 40 }, (_, i) => dns({ name: `h${i}.example` })));
  expect(totalsOf(summarize(events)).topDenied).toHaveLength(5);
});
