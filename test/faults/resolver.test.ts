/** Name servers that fail in every way: what the guest sees by proxy and by DNS, and what the log says. */
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { a, askedName, query, readResponse, reply } from '../dns/messages.ts';
import { askDatagram, type Script } from '../dns/world.ts';
import { addressOf } from '../proxy/rig.ts';
import { createFaultWorld, GOOD_RESOLVER } from './world.ts';

/** A failing server is given up soon; a good one has this long on a busy machine. */
const DNS = { datagramTryMs: 250, streamTryMs: 250, lookupMs: 2_000 };
const SERVFAIL = 2;
const WRONG_QUESTION = Buffer.from('\x04evil\x07example\0\0\x01\0\x01', 'latin1');

const cut: Script = (asked) => [reply(asked, { truncated: true })];
const overTcp =
  (script: Script): Script =>
  (asked, transport) =>
    transport === 'udp' ? cut(asked, transport) : script(asked, transport);

interface Fault {
  readonly fault: string;
  readonly resolver: Script;
  /** Of both decisions. */
  readonly detail: RegExp;
}

const FAULTS: readonly Fault[] = [
  { fault: 'is silent', resolver: () => [], detail: /no answer in time/ },
  { fault: 'answers garbage', resolver: () => [Buffer.alloc(300, 0xff)], detail: /no answer in time/ },
  { fault: 'answers nothing at all', resolver: () => [Buffer.alloc(0)], detail: /no answer in time/ },
  {
    fault: 'never gets the id right',
    resolver: (asked) => [reply(asked, { id: asked.readUInt16BE(0) ^ 1, answers: [lie(asked)] })],
    detail: /no answer in time/,
  },
  {
    fault: 'answers another question',
    resolver: (asked) => [reply(asked, { question: WRONG_QUESTION, answers: [lie(asked)] })],
    detail: /no answer in time/,
  },
  { fault: 'cuts every answer', resolver: cut, detail: /over TCP that is truncated/ },
  {
    fault: 'cuts its answer, and is silent over TCP',
    resolver: overTcp(() => []),
    detail: /no answer over TCP in time/,
  },
  {
    fault: 'cuts its answer, and talks nonsense over TCP',
    resolver: overTcp(() => [Buffer.alloc(300, 0xff)]),
    detail: /over TCP/,
  },
  {
    fault: 'says SERVFAIL',
    resolver: (asked) => [reply(asked, { rcode: SERVFAIL })],
    detail: /response code 2/,
  },
  { fault: 'says REFUSED', resolver: (asked) => [reply(asked, { rcode: 5 })], detail: /response code 5/ },
];

function lie(asked: Buffer) {
  return a(askedName(asked), '127.0.0.1');
}

describe('a name server', () => {
  it.each(FAULTS)('that $fault: nothing is dialled, and the next lookup is served', async (fault) => {
    await using world = await createFaultWorld({ resolver: fault.resolver, dns: DNS });
    const [client, answer] = await Promise.all([
      world.request('one.names.example', world.ports.good, '/lost'),
      askDatagram(world.dnsPort, query('two.names.example')),
    ]);
    expect(await client.all()).toMatch(/^HTTP\/1\.1 50[24] [\s\S]*x-sand-reason: dns-failed\r\n/);
    expect(client.text).not.toContain('127.0.0.1');
    expect(readResponse(answer ?? Buffer.alloc(12)).rcode).toBe(SERVFAIL);
    const refused = { reason: 'dns-failed', detail: expect.stringMatching(fault.detail) };
    expect(world.decisions).toEqual([
      expect.objectContaining({ ...refused, verdict: 'allow', disposition: 'refused', path: '/lost' }),
    ]);
    expect(world.events).toContainEqual(
      expect.objectContaining({ ...refused, kind: 'dns', name: 'two.names.example', rcode: 'SERVFAIL' }),
    );
    await world.replaceResolver(GOOD_RESOLVER);
    await world.expectAlive();
  });

  it('that is dead is told as such at once, and asked again when it is back', async () => {
    await using world = await createFaultWorld();
    const port = await world.adopt(createServer());
    const [live] = world.resolvers.splice(0, 1, { address: addressOf('127.0.0.1'), port });
    const client = await world.request('good.example', world.ports.good);
    expect(await client.all()).toMatch(/x-sand-reason: dns-failed/);
    expect(world.decisions).toMatchObject([
      { reason: 'dns-failed', detail: expect.stringMatching(/ECONNREFUSED/) },
    ]);
    if (live !== undefined) world.resolvers.splice(0, 1, live);
    await world.request('alive.names.example', world.ports.good, '/back').then((back) => back.until(/fine$/));
  });

  it('that lies about its own name is believed for no other: another owner\u2019s address is left out', async () => {
    const resolver: Script = (asked) => [reply(asked, { answers: [a('other.example', '127.0.0.1')] })];
    await using world = await createFaultWorld({ resolver, dns: DNS });
    const client = await world.request('one.names.example', world.ports.good, '/lie');
    expect(await client.all()).toMatch(/^HTTP\/1\.1 502 [\s\S]*x-sand-reason: dns-not-found/);
    await world.replaceResolver(GOOD_RESOLVER);
    await world.expectAlive();
  });

  it('that gives a guarded address beside a good one: the guarded one is never dialled', async () => {
    const resolver: Script = (asked, transport) =>
      askedName(asked).startsWith('rebind')
        ? [
            reply(asked, {
              answers: [a(askedName(asked), '169.254.169.254'), a(askedName(asked), '127.0.0.1')],
            }),
          ]
        : GOOD_RESOLVER(asked, transport);
    await using world = await createFaultWorld({ resolver, dns: DNS });
    const client = await world.request('rebind.names.example', world.ports.good, '/rebind');
    expect(await client.all()).toMatch(/fine$/);
    expect(world.decisions).toMatchObject([{ path: '/rebind', address: '127.0.0.1' }]);
  });
});
