import { expect, test } from 'vitest';
import { InboundSummary } from '../../audit/inbound.ts';
import { formatInbound } from '../../audit/table.ts';
import { expectGolden } from './golden.ts';
import { ALLOWED, close, connection, eventsOf, inbound } from './samples.ts';

function rowsOf(...entries: Parameters<typeof eventsOf>[0]) {
  const summary = new InboundSummary();
  for (const event of eventsOf(entries)) summary.add(event);
  return summary.rows();
}

test('what came in folds by port, with its bytes; refusals stand first', () => {
  const refused = { disposition: 'refused', reason: 'guest-port-closed' } as const;
  const rows = rowsOf(
    inbound({ connection: 1 }),
    inbound({ connection: 2, peer: '127.0.0.1:9' }),
    connection({ ...ALLOWED, connection: 3 }),
    close({ connection: 1, bytesIn: 10, bytesOut: 2_000 }),
    close({ connection: 3, bytesIn: 5_000 }),
    close({ connection: 2, bytesIn: 20, bytesOut: 0 }),
    inbound({ connection: 4, ...refused }),
    inbound({ connection: 5, ...refused, count: 7, peer: '' }),
  );
  expect(rows).toMatchObject([
    { disposition: 'refused', reason: 'guest-port-closed', count: 8, bytesIn: 0 },
    { disposition: 'forwarded', reason: null, count: 2, bytesIn: 30, bytesOut: 2_000, guestPort: 80 },
  ]);
  expect(rows[1]).toMatchObject({ first: '2026-11-21T20:15:00.000Z', last: '2026-11-21T20:15:05.000Z' });
  expectGolden('inbound.txt', formatInbound(rows));
});

test('a close without its connection is passed over', () => {
  expect(rowsOf(close({ connection: 9 }))).toEqual([]);
});
