/**
 * Requests, failing origins, failing name servers, guests that leave, reloads and a log that fails, in any order
 * and at once: nothing reaches an origin before its record stands in the file, and what was opened is closed.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { verifyAuditLog } from '../../audit/verify.ts';
import { a, askedName, reply } from '../dns/messages.ts';
import type { Script } from '../dns/world.ts';
import { type Client, eventually } from '../proxy/rig.ts';
import { createFaultWorld, type FaultWorld, GOOD_RESOLVER, OK, type OriginScript } from './world.ts';

const STEPS = ['good', 'bad', 'post', 'refused', 'raw', 'denied', 'leave', 'name', 'reload'] as const;
const ORIGINS = ['answers', 'resets', 'ends', 'garbage', 'breaks', 'interim', 'drips'] as const;
const RESOLVERS = ['good', 'servfail', 'guarded', 'late'] as const;
type Step = (typeof STEPS)[number];

function originThat(does: (typeof ORIGINS)[number]): OriginScript {
  const acts: Record<typeof does, (socket: Parameters<OriginScript>[0]) => unknown> = {
    answers: (socket) => socket.write(OK),
    resets: (socket) => socket.resetAndDestroy(),
    ends: (socket) => socket.end(),
    garbage: (socket) => socket.write('\0\0\0\0'),
    breaks: (socket) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha', () => socket.destroy()),
    interim: (socket) => socket.write(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`),
    drips: (socket) => socket.write(OK.slice(0, 20), () => setImmediate(() => socket.write(OK.slice(20)))),
  };
  return (socket, text) => {
    if (text.endsWith('\r\n\r\n') || text.endsWith('hi')) acts[does](socket);
  };
}

function resolverThat(does: (typeof RESOLVERS)[number]): Script {
  return (asked, transport) => {
    if (does === 'servfail') return [reply(asked, { rcode: 2 })];
    if (does === 'guarded') return [reply(asked, { answers: [a(askedName(asked), '10.0.0.1')] })];
    if (does === 'late' && transport === 'udp') return [reply(asked, { truncated: true })];
    return GOOD_RESOLVER(asked, transport);
  };
}

async function take(world: FaultWorld, step: Step, at: number, clients: Client[]): Promise<void> {
  const { good, bad, raw, dead } = world.ports;
  const path = `/step-${at}`;
  const send = async (host: string, port: number, method = 'GET') => {
    const client = await world.request(host, port, path, method);
    clients.push(client);
    return client;
  };
  switch (step) {
    case 'good':
      return void (await send('good.example', good));
    case 'bad':
      return void (await send('bad.example', bad));
    case 'post':
      return void (await send('bad.example', bad, 'POST'));
    case 'refused':
      return void (await send('bad.example', dead));
    case 'denied':
      return void (await send('denied.example', good));
    case 'name':
      return void (await send(`n${at}.names.example`, good));
    case 'leave':
      return void (await send('bad.example', bad)).socket.resetAndDestroy();
    case 'raw': {
      const client = await world.client();
      clients.push(client.send(`CONNECT bad.example:${raw} HTTP/1.1\r\nHost: bad.example\r\n\r\nhi`));
      return;
    }
    case 'reload':
      world.core.replacePolicy({ ...world.core.policy() });
  }
}

const plans = fc.record({
  steps: fc.array(fc.constantFrom(...STEPS), { minLength: 2, maxLength: 14 }),
  origin: fc.constantFrom(...ORIGINS),
  resolver: fc.constantFrom(...RESOLVERS),
  /** The log fails at this record; null: it holds. */
  failsAt: fc.option(fc.nat(20), { freq: 2 }),
  /** Whether each step is begun before those before it are over. */
  together: fc.boolean(),
});

it('nothing arrives before its record is written, whatever fails meanwhile', async () => {
  await fc.assert(
    fc.asyncProperty(plans, async ({ steps, origin, resolver, failsAt, together }) => {
      await using world = await createFaultWorld({
        origin: originThat(origin),
        resolver: resolverThat(resolver),
        proxy: { idleTimeoutMs: 2_000 },
        dns: { datagramTryMs: 300, streamTryMs: 300, lookupMs: 1_000 },
      });
      let records = 0;
      world.onRecord = () => {
        records += 1;
        if (failsAt !== null && records > failsAt) throw new Error('no space left');
      };
      const clients: Client[] = [];
      const taken: Promise<void>[] = [];
      for (const [at, step] of steps.entries()) {
        taken.push(take(world, step, at, clients));
        if (together) continue;
        await taken.at(-1);
        if (step !== 'raw') await clients.at(-1)?.ending();
      }
      await Promise.all(taken);
      await eventually(() => world.core.proxy.stats().accepted >= clients.length, 'all connections taken');
      for (const client of clients) client.socket.end();
      await eventually(() => world.core.proxy.stats().connections === 0, 'all connections over');
      const opened = world.decisions.filter(({ disposition }) => disposition === 'forwarded');
      const closed = world.closes.map(({ connection }) => connection);
      if (failsAt === null || records <= failsAt) {
        expect(closed.sort()).toEqual(opened.map(({ connection }) => connection).sort());
        expect(world.core.proxy.stats()).toMatchObject({ open: 0, forwarded: opened.length });
      } else {
        expect(world.events.length).toBe(failsAt);
        const late = await world.request('good.example', world.ports.good, '/late');
        expect(await late.all()).toMatch(/^HTTP\/1\.1 503 [\s\S]*x-sand-reason: audit-unavailable/);
      }
      expect(await verifyAuditLog(world.log.path)).toMatchObject(
        world.events.length === 0 ? {} : { intact: true, events: world.events.length },
      );
    }),
    { numRuns: 40 },
  );
});
