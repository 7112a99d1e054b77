import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entryOf } from '../../../audit/page/entry.ts';
import {
  CHOICES,
  type Entry,
  entryFor,
  type Filters,
  findEntries,
  formatHash,
  formatTimeField,
  NO_FILTERS,
  ORDERS,
  parseHash,
  parseTime,
} from '../../../audit/page/filter.ts';
import { ALLOWED, close, connection, dns, eventsOf, START_MS } from '../samples.ts';

const EVENTS = eventsOf([
  connection({ ...ALLOWED, host: 'a.example.com' }),
  dns({ name: 'evil.example' }),
  connection({ host: 'evil.example', process: { pid: 7, command: 'curl evil' } }),
  connection({ host: 'quiet.example', muted: true }),
  { kind: 'notice', code: 'policy-file-touched', detail: 'd' },
  connection({
    ...ALLOWED,
    reason: 'upstream-failed',
    host: 'b.a.example.com',
    method: 'GET',
    path: '/Deep/path',
  }),
]);
const ENTRIES: readonly Entry[] = EVENTS.flatMap((event, at) =>
  event.kind === 'close'
    ? []
    : [entryFor(entryOf(event, 0, at === 5 ? close({ bytesIn: 10, bytesOut: 0 }) : null))],
);

function found(change: Partial<Filters>): readonly number[] {
  return findEntries(ENTRIES, { ...NO_FILTERS, ...change }).entries.map(({ event }) => event.seq);
}

describe('the list', () => {
  it('stands denied first, without what is muted', () => {
    expect(found({})).toEqual([2, 3, 6, 1, 5]);
    expect(findEntries(ENTRIES, NO_FILTERS).mutedCount).toBe(1);
    expect(found({ muted: true })).toEqual([2, 3, 4, 6, 1, 5]);
  });

  it('is ordered as asked', () => {
    expect(found({ order: 'time' })).toEqual([1, 2, 3, 5, 6]);
    expect(found({ order: 'newest' })).toEqual([6, 5, 3, 2, 1]);
    expect(found({ order: 'bytes' })[0]).toBe(6);
    expect(found({ order: 'longest' })[0]).toBe(6);
  });

  it('is searched by every word, in any case, through reason, path, process and rule', () => {
    expect(found({ search: 'EVIL https' })).toEqual([3]);
    expect(found({ search: 'curl' })).toEqual([3]);
    expect(found({ search: 'deep' })).toEqual([6]);
    expect(found({ search: 'no rule allows' })).toEqual([2, 3]);
    expect(found({ search: 'policy.yaml:5' })).toEqual([6, 1]);
    expect(found({ search: 'nowhere' })).toEqual([]);
  });

  it('is filtered by verdict, kind, host, rule, run and time', () => {
    expect(found({ verdicts: ['failed', 'other'] })).toEqual([6, 5]);
    expect(found({ kind: 'dns' })).toEqual([2]);
    expect(found({ host: 'a.example.com' })).toEqual([1]);
    expect(found({ host: '*.a.example.com' })).toEqual([6, 1]);
    expect(found({ rule: '/srv/app/sand.policy.yaml:5 web-app/allow:api.example.com' })).toEqual([6, 1]);
    expect(found({ run: 1 })).toEqual([]);
    expect(found({ fromMs: START_MS + 1000, toMs: START_MS + 2000 })).toEqual([2]);
  });

  it('counts each verdict as if none were chosen', () => {
    const { counts } = findEntries(ENTRIES, { ...NO_FILTERS, verdicts: ['denied'] });
    expect(counts).toEqual({ denied: 2, 'would-be-denied': 0, failed: 1, allowed: 1, other: 1 });
  });
});

describe('a link', () => {
  const filters = fc.record<Filters>({
    search: fc.string({ unit: 'grapheme' }),
    verdicts: fc.subarray([...CHOICES]),
    kind: fc.constantFrom(null, 'dns', 'connection'),
    host: fc.option(fc.string({ minLength: 1 })),
    rule: fc.option(fc.string({ minLength: 1 })),
    run: fc.option(fc.nat(999)),
    fromMs: fc.option(fc.integer({ min: 0, max: 4e12 })),
    toMs: fc.option(fc.integer({ min: 0, max: 4e12 })),
    muted: fc.boolean(),
    order: fc.constantFrom(...ORDERS),
  });

  it('holds every filter', () => {
    fc.assert(
      fc.property(filters, fc.constantFrom(null, '1.17'), (given, selected) => {
        expect(parseHash(`#${formatHash(given, selected)}`)).toEqual({ filters: given, selected });
      }),
    );
  });

  it('is as none where it is wrong', () => {
    expect(formatHash(NO_FILTERS)).toBe('');
    const wrong = '#verdict=maybe&run=0&from=soon&order=up&event=<b>&muted=1&__proto__=x';
    expect(parseHash(wrong)).toEqual({ filters: NO_FILTERS, selected: null });
    fc.assert(fc.property(fc.string(), (hash) => void parseHash(hash)));
  });
});

describe('a time field', () => {
  it('is read with and without its day', () => {
    expect(parseTime('', START_MS)).toBe(null);
    expect(parseTime('20:15', START_MS)).toBe(START_MS);
    expect(parseTime('20:15:07.5', START_MS)).toBe(START_MS + 7_500);
    expect(parseTime('2026-11-22', START_MS)).toBe(Date.UTC(2026, 10, 22));
    expect(parseTime('2026-11-22T01:02:03Z', START_MS)).toBe(Date.UTC(2026, 10, 22, 1, 2, 3));
    for (const wrong of ['soon', '25:00', '2026-13-01', '20:15:00 tomorrow']) {
      expect(parseTime(wrong, START_MS)).toBe(undefined);
    }
  });

  it('reads what it shows', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), (timeMs) => {
        expect(parseTime(formatTimeField(timeMs, START_MS), START_MS)).toBe(timeMs);
      }),
    );
  });
});
