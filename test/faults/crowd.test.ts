/** Guests that open far more connections than they may: told and recorded by one reason, and nobody else is hurt. */
import { describe, expect, it } from 'vitest';
import { type Client, eventually } from '../proxy/rig.ts';
import { createFaultWorld, type FaultWorld } from './world.ts';

const LIMIT = 40;
const CROWD = 200;

const KINDS: readonly (readonly [string, (world: FaultWorld) => string])[] = [
  ['idle', () => ''],
  ['with half a head each', () => 'GET http://good.example/ HTTP/1.1\r\nHost: good'],
  [
    'with a tunnel each',
    ({ ports }) => `CONNECT bad.example:${ports.raw} HTTP/1.1\r\nHost: bad.example:${ports.raw}\r\n\r\n`,
  ],
  [
    'with a TLS tunnel each that stays silent',
    ({ ports }) => `CONNECT bad.example:${ports.tls} HTTP/1.1\r\nHost: bad.example:${ports.tls}\r\n\r\n`,
  ],
  ['with a SOCKS greeting each', () => '\x05\x01\x00'],
];

async function openCrowd(world: FaultWorld, bytes: string): Promise<readonly Client[]> {
  const crowd = await Promise.all(Array.from({ length: CROWD }, () => world.client()));
  for (const client of crowd) client.send(bytes);
  return crowd;
}

describe('a crowd of connections', () => {
  it.each(KINDS)(
    '%s: the limit holds, is recorded once with a number, and ends with the crowd',
    async (_, bytes) => {
      await using neighbour = await createFaultWorld();
      await using world = await createFaultWorld({
        proxy: { connections: LIMIT, requestBurst: 10 * CROWD },
      });
      const crowd = await openCrowd(world, bytes(world));
      await eventually(
        () => crowd.filter(({ ended }) => ended !== null).length === CROWD - LIMIT,
        'the rest refused',
      );
      const told = crowd.filter(({ text }) => text.includes('x-sand-reason: limit-connections'));
      // A few are told in words, the others cut off; nobody who was let in.
      expect(told.length).toBeGreaterThan(0);
      expect(told.length).toBeLessThan(CROWD - LIMIT);
      expect(crowd.filter(({ ended }) => ended === null)).toHaveLength(LIMIT);
      expect(world.core.proxy.stats().accepted).toBe(CROWD);
      await neighbour.expectAlive();
      const refusals = () => world.decisions.filter(({ reason }) => reason === 'limit-connections');
      const count = () => refusals().reduce((sum, decision) => sum + (decision.count ?? 1), 0);
      await eventually(() => count() === CROWD - LIMIT, 'all of them counted');
      expect(refusals().length).toBeLessThan(10);
      for (const client of crowd) client.socket.destroy();
      await eventually(() => world.core.proxy.stats().connections === 0, 'the places free again');
      await world.expectAlive();
    },
  );
});
