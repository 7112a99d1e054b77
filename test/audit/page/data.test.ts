import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../../audit/event.ts';
import { PageBuilder } from '../../../audit/page/data.ts';
import { PAGE_LIMITS } from '../../../audit/page/limits.ts';
import { Timeline } from '../../../audit/page/timeline.ts';
import { TopHosts } from '../../../audit/top.ts';
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
  unplanted,
} from '../samples.ts';

const OPTIONS = { sand: '0.1.0', madeAt: '2026-11-28T12:00:00.000Z' };

function built(logs: readonly (readonly AuditEntry[])[], limit?: number) {
  const builder = new PageBuilder({ ...OPTIONS, ...(limit === undefined ? {} : { limit }) });
  logs.forEach((entries, at) => {
    builder.beginRun(`20261121-20150${at}-k3f9`);
    for (const event of eventsOf(entries)) builder.add(event);
  });
  return builder.data();
}

const allowed = (number: number, host = 'api.example.com') =>
  connection({ ...ALLOWED, connection: number, host });

describe('the data of a page', () => {
  it('counts hosts as sand audit top does, whatever part of the events it keeps', () => {
    const entries = [
      runStart(),
      dns(),
      connection({ count: 3 }),
      allowed(2),
      close({ connection: 2 }),
      connection({ connection: 3, host: 'stats.example', muted: true }),
      unplanted(),
      runEnd(),
    ];
    const top = new TopHosts();
    for (const event of eventsOf(entries)) top.add(event);
    const { rows, mutedCount } = top.result({ by: 'denied' });
    for (const limit of [1, 100]) {
      const { summary } = built([entries], limit);
      expect(summary.hosts).toEqual(rows);
      expect(summary.totals).toMatchObject({ denied: 6, allowed: 1, muted: mutedCount, bytesIn: 2_000_000 });
    }
  });

  it('keeps what was denied first, then the newest, and says how many there were', () => {
    const entries = [
      runStart(),
      connection({ host: 'first.example' }),
      ...Array.from({ length: 50 }, (_, at) => allowed(at + 2, `h${at}.example`)),
      connection({ host: 'late.example', reason: 'would-be-denied', disposition: 'forwarded' }),
    ];
    const { summary, events } = built([entries], 5);
    expect(events.map(({ host }) => host)).toEqual([
      'first.example',
      'h47.example',
      'h48.example',
      'h49.example',
      'late.example',
    ]);
    expect([summary.shownEvents, summary.totalEvents]).toEqual([5, 53]);
  });

  it('keeps the newest of what was denied when even that is too much', () => {
    const entries = Array.from({ length: 9 }, (_, at) => connection({ host: `h${at}.example` }));
    expect(built([entries], 3).events.map(({ host }) => host)).toEqual([
      'h6.example',
      'h7.example',
      'h8.example',
    ]);
  });

  it('tells a close with its connection, of its own run alone, and none with one from the host', () => {
    const log = [runStart(), allowed(1), close({ connection: 1, bytesOut: 5, reason: 'limit-time' })];
    const { events, summary } = built([
      log,
      [runStart(), close({ connection: 1, bytesOut: 99 }), inbound(), close({ connection: 7 })],
    ]);
    expect(events.map(({ kind, close: ended }) => [kind, ended?.bytesOut, ended?.reason])).toEqual([
      ['run-start', undefined, undefined],
      ['connection', 5, 'limit-time'],
      ['run-start', undefined, undefined],
      ['inbound', 1500, null],
    ]);
    expect(summary.names[0]?.connections[0]).toMatchObject({ port: 443, bytesOut: 5, count: 1 });
  });

  it('puts lookups beside connections', () => {
    const answered = { ...ALLOWED, disposition: 'answered', name: 'api.example.com' } as const;
    const { summary } = built([
      [
        dns({ ...answered, rcode: 'NOERROR', answer: ['198.18.0.1'] }),
        dns({ ...answered, rcode: 'NOERROR', answer: ['198.18.0.2'] }),
        allowed(1),
      ],
    ]);
    expect(summary.names).toEqual([
      {
        host: 'api.example.com',
        lookups: [
          {
            type: 'A',
            rcode: 'NOERROR',
            verdict: 'allowed',
            reason: 'allowed-by-rule',
            count: 2,
            answers: ['198.18.0.1', '198.18.0.2'],
          },
        ],
        connections: [
          {
            port: 443,
            how: 'https',
            verdict: 'allowed',
            reason: 'allowed-by-rule',
            count: 1,
            bytesOut: 0,
            bytesIn: 0,
          },
        ],
        more: 0,
      },
    ]);
  });

  it('takes every kind of event, and tells findings and lines that are none', () => {
    const builder = new PageBuilder(OPTIONS);
    builder.beginRun('20261121-201500-k3f9');
    for (const event of eventsOf(FULL_ENTRIES)) builder.add(event);
    builder.addFault({ line: 9, detail: 'not JSON' });
    builder.endRun({ state: 'broken', line: 9, segment: 1, problem: 'unreadable', detail: 'not JSON' });
    const { summary, events } = builder.data();
    // Two of them are closes, of a connection and of one that is not there.
    expect(events).toHaveLength(FULL_ENTRIES.length - 1);
    expect(summary.runs[0]).toMatchObject({
      name: 'web',
      signed: true,
      image: './app.tar',
      chain: { state: 'broken', line: 9 },
      findings: [
        { kind: 'notice', code: 'policy-file-touched' },
        { kind: 'line', code: 'line 9' },
      ],
      findingCount: 2,
    });
  });

  it('is bounded where a guest asks for ever new names', () => {
    const builder = new PageBuilder({ ...OPTIONS, limit: 10 });
    builder.beginRun('20261121-201500-k3f9');
    const [event] = eventsOf([dns()]);
    for (let at = 0; at < PAGE_LIMITS.names + 500; at += 1)
      if (event !== undefined) builder.add({ ...event, name: `n${at}.example`, seq: at + 1 } as typeof event);
    const { summary, events } = builder.data();
    expect(events).toHaveLength(10);
    expect(summary.hosts.length).toBeLessThanOrEqual(PAGE_LIMITS.hosts * 3);
    expect(summary.names.length).toBeLessThanOrEqual(summary.hosts.length);
    expect(summary.totals.denied).toBe(PAGE_LIMITS.names + 500);
  });
});

describe('a timeline', () => {
  it('counts all in a bounded number of bars however long the run', () => {
    const timeline = new Timeline();
    for (let at = 0; at < 5_000; at += 1) timeline.add(at * 1_000, at % 2 === 0 ? 'denied' : 'allowed', 2);
    const { bars, stepMs, fromMs } = timeline.timeline();
    expect(bars.length).toBeLessThanOrEqual(PAGE_LIMITS.bars);
    expect(fromMs + bars.length * stepMs).toBeGreaterThanOrEqual(4_999_000);
    expect(bars.reduce((sum, [denied]) => sum + denied, 0)).toBe(5_000);
    expect(bars.reduce((sum, [, , , count]) => sum + count, 0)).toBe(5_000);
  });

  it('counts at the beginning what seems earlier, and survives a jump of years', () => {
    const timeline = new Timeline();
    timeline.add(1_000_000, 'failed', 1);
    timeline.add(0, 'failed', 1);
    timeline.add(1e12, 'muted', 1);
    const { bars } = timeline.timeline();
    expect(bars[0]).toEqual([0, 0, 2, 0, 0]);
    expect(bars.at(-1)).toEqual([0, 0, 0, 0, 1]);
    expect(bars.length).toBeLessThanOrEqual(PAGE_LIMITS.bars);
  });
});
