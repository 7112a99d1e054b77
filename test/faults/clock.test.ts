/**
 * Jumps of the wall clock, both ways and far: only `until` and the times in the log follow it. Durations, limits,
 * caches and open connections go by a clock that does not jump.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { verifyAuditLog } from '../../audit/verify.ts';
import { eventually } from '../proxy/rig.ts';
import { createFaultWorld, type FaultWorld, type OriginScript, type Ports } from './world.ts';

const START = Date.UTC(2026, 10, 21, 12);
const YEAR_MS = 365 * 24 * 3_600_000;
const JUMPS = [
  ['a year ahead', YEAR_MS],
  ['an hour back', -3_600_000],
  ['to 1970', -START],
  ['beyond 2100', 80 * YEAR_MS],
] as const;

const echo: OriginScript = (socket, text) => {
  if (text !== '') socket.write('heard');
};
/** The good origin is at `short.example` too, until one hour after the start. */
const SHORT = ({ good }: Ports): string =>
  `  - allow: short.example\n    http: [${good}]\n    addresses: [127.0.0.0/8]\n    until: 2026-11-21T13:00:00Z\n`;

beforeEach(() => {
  // The wall clock alone: timers and the steady clock stay as they are.
  vi.useFakeTimers({ toFake: ['Date'], now: START });
});
afterEach(() => {
  vi.useRealTimers();
});

async function tunnel(world: FaultWorld) {
  const client = await world.client();
  client.send(`CONNECT bad.example:${world.ports.raw} HTTP/1.1\r\nHost: bad.example\r\n\r\n`);
  await client.until(/ 200 /);
  await client.send('hello').until(/heard/);
  return client;
}

async function reasonOf(world: FaultWorld, path: string): Promise<string> {
  const client = await world.request('short.example', world.ports.good, path);
  await client.all();
  return world.decisions.find((decision) => decision.path === path)?.reason ?? '';
}

describe('when the wall clock jumps', () => {
  it.each(JUMPS)(
    '%s, what is open goes on, and what comes is served and recorded in order',
    async (_, by) => {
      await using world = await createFaultWorld({ origin: echo });
      const open = await tunnel(world);
      await world.expectAlive();
      const before = world.questions;
      vi.setSystemTime(START + by);
      await open.send('again').until(/heard[\s\S]*heard/);
      await world.expectAlive();
      // The answer is remembered for its time to live, however late or early the wall clock says it is.
      expect(world.questions).toBe(before);
      open.socket.end();
      await eventually(() => world.closes.length === 3, 'the closes');
      for (const close of world.closes) {
        expect(close.reason).toBeUndefined();
        expect(close.durationMs).toBeGreaterThanOrEqual(0);
        expect(close.durationMs).toBeLessThan(60_000);
      }
      expect(world.events.map(({ seq }) => seq)).toEqual(world.events.map((_event, at) => at + 1));
      expect(world.events.at(-1)?.time).toBe(new Date(START + by).toISOString());
      expect(await verifyAuditLog(world.log.path)).toMatchObject({ intact: true });
    },
  );

  it('`until` follows it, there and back', async () => {
    await using world = await createFaultWorld({ rules: SHORT });
    expect(await reasonOf(world, '/before')).toBe('allowed-by-rule');
    vi.setSystemTime(START + 3_600_000);
    expect(await reasonOf(world, '/at')).toBe('rule-expired');
    vi.setSystemTime(START + 3_599_999);
    expect(await reasonOf(world, '/back')).toBe('allowed-by-rule');
    vi.setSystemTime(START + YEAR_MS);
    expect(await reasonOf(world, '/far')).toBe('rule-expired');
    await world.expectAlive();
  });

  it('a guest that has used up its rate gets nothing back by it', async () => {
    await using world = await createFaultWorld({ proxy: { requestBurst: 3, requestsPerSecond: 0.001 } });
    for (let i = 0; i < 3; i += 1) await world.expectAlive();
    for (const by of [YEAR_MS, -YEAR_MS]) {
      vi.setSystemTime(START + by);
      const over = await world.request('good.example', world.ports.good);
      expect(await over.all()).toMatch(/^HTTP\/1\.1 429 [\s\S]*x-sand-reason: limit-requests/);
    }
  });

  it('a client that is waited for is neither cut off by it nor waited for longer', async () => {
    await using world = await createFaultWorld({ proxy: { headTimeoutMs: 1_500 } });
    const slow = await world.client();
    slow.send('GET http://good.example');
    await world.expectAlive();
    vi.setSystemTime(START + YEAR_MS);
    await world.expectAlive();
    expect(slow.ended).toBeNull();
    vi.setSystemTime(START - YEAR_MS);
    expect(await slow.all()).toMatch(/^HTTP\/1\.1 408 [\s\S]*x-sand-reason: limit-time/);
  });
});
