/**
 * A guest looks for a way out: to the host's own servers, to other addresses, to other resolvers, past its
 * gateway, and by changing its network. Canaries on the host count whoever comes.
 */
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../audit/event.ts';
import { LINK } from '../../../controller/links/namespace/topology.ts';
import { type Canaries, createCanaries } from '../attacks-support/canaries.ts';
import { type Outcomes, outcomesFor, runProbe } from '../attacks-support/probe.ts';
import { CALLERS, createWorld, type World } from '../sand.ts';

/** Names of the loopback address that a careless parser takes for somewhere else. */
const DISGUISES = [
  '0.0.0.0',
  '127.1',
  '2130706433',
  '0x7f000001',
  '0177.0.0.1',
  '[::ffff:127.0.0.1]',
  '[::]',
  '[::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  'localhost',
  'localhost.',
  '127.0.0.1.',
];
const RAW = [
  ['203.0.113.9', 443],
  ['203.0.113.9', 80],
  ['203.0.113.9', 22],
  ['203.0.113.9', 65_535],
  ['2001:db8::9', 443],
  ['2001:db8::9', 22],
  ['169.254.169.254', 80],
  ['10.0.0.1', 443],
] as const;
const DATAGRAMS = [
  ['203.0.113.9', 123],
  ['203.0.113.9', 443],
  ['2001:db8::9', 443],
  ['255.255.255.255', 67],
  ['224.0.0.251', 5353],
] as const;
/** Documentation addresses, and the places where a host's own resolver tends to listen. */
const RESOLVERS = ['198.51.100.53', '127.0.0.53', '2001:db8::53', LINK.gateway4];
const GATEWAY_PORTS = [22, 80, 443, 1, 3129, 5353, 8080, 9229, 49_152];
/** What a refused connection may look like: an error, a close without a word, or sand's own refusal. */
const CLOSED =
  /^(ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|EACCES|EPERM|heard:(HTTP\/1\.1 403 Forbidden \(sand: [a-z-]+\)\r\nx-sand-reason: .*)?)$/s;

describe.each(CALLERS)('the network, as a guest of the %s sees it', (who) => {
  let world: World;
  let canaries: Canaries;
  let outcomes: Outcomes;
  let events: readonly AuditEvent[];

  beforeAll(async () => {
    world = createWorld(who);
    canaries = await createCanaries();
    const given = {
      canaries: canaries.places,
      abstract: canaries.abstract,
      gateway: LINK.gateway4,
      disguises: DISGUISES,
      raw: RAW,
      datagrams: DATAGRAMS,
      gatewayPorts: [LINK.gateway4, LINK.gateway6].flatMap((address) =>
        GATEWAY_PORTS.map((port) => [address, port]),
      ),
      pings: ['203.0.113.9', '2001:db8::9', LINK.gateway4, ...canaries.places.map(([address]) => address)],
      resolvers: RESOLVERS,
      names: ['denied.example'],
      routes: true,
    };
    ({ outcomes } = await runProbe(world, 'network.py', given, ['--policy', 'strict']));
    events = await world.events();
  });
  afterAll(async () => {
    await canaries.close();
    world.remove();
  });

  const kind = (beginning: string) => outcomesFor(outcomes, beginning);
  const refusedTo = (host: string, port: number, transport: 'tcp' | 'udp') =>
    events.filter(
      (event) =>
        (event.kind === 'connection' || event.kind === 'unplanted') &&
        (event.kind === 'unplanted' ? event.transport : 'tcp') === transport &&
        event.host.replace(/^\[(.*)\]$/, '$1') === host &&
        event.port === port &&
        event.disposition === 'refused',
    );

  it('has nothing of the host’s: no server on loopback or an interface, by TCP, UDP, proxy or disguise', () => {
    expect(canaries.visits).toEqual([]);
    for (const [address] of canaries.places) {
      for (const beginning of ['connect', 'forward']) {
        expect(String(outcomes[`${beginning} ${address}`])).toMatch(/^heard:HTTP\/1\.[01] (400|403) /);
      }
      expect(outcomes[`tcp ${address}`], address).not.toContain('canary');
    }
    for (const host of DISGUISES)
      expect(String(outcomes[`forward ${host}`])).toMatch(/^heard:HTTP\/1\.[01] (400|403) /);
  });

  it('has no raw IPv4 or IPv6 connection, and each try is on record', () => {
    for (const [address, port] of RAW) {
      expect(String(outcomes[`tcp ${address} ${port}`]), `${address} ${port}`).toMatch(CLOSED);
      expect(refusedTo(address, port, 'tcp').length, `${address} ${port}`).toBeGreaterThan(0);
    }
  });

  it('has no UDP but DNS, and each try is on record', () => {
    for (const [address, port] of DATAGRAMS)
      expect(String(outcomes[`udp ${address} ${port}`])).toMatch(/^(E[A-Z]+|silence)$/);
    for (const [address, port] of DATAGRAMS.slice(0, 3))
      expect(refusedTo(address, port, 'udp')).toHaveLength(1);
  });

  it('has no ICMP', () => {
    const pings = Object.values(kind('ping '));
    expect(pings.length).toBeGreaterThan(3);
    for (const ping of pings) expect(String(ping)).toMatch(/^(E[A-Z]+|silence)$/);
  });

  it('has sand for every resolver, by UDP and TCP, and no resolver on another port', () => {
    for (const server of [RESOLVERS[0], RESOLVERS[2], RESOLVERS[3]]) {
      for (const transport of ['udp', 'tcp']) {
        expect(outcomes[`dns ${transport} ${server} denied.example`]).toEqual({ rcode: 3, answers: 0 });
      }
      expect(String(outcomes[`dns elsewhere ${server}`])).toMatch(/^(E[A-Z]+|timed out)$/);
      expect(String(outcomes[`dns elsewhere by tcp ${server}`])).toMatch(/^(E[A-Z]+|timed out)$/);
    }
    // Its loopback is its own: nobody of the host answers there.
    expect(String(outcomes['dns udp 127.0.0.53 denied.example'])).toMatch(/^E[A-Z]+$/);
    expect(events.filter((event) => event.kind === 'dns' && event.asker === 'guest').length).toBeGreaterThan(
      3,
    );
  });

  it('finds nothing at the gateway’s addresses but the proxy and DNS', () => {
    for (const [name, outcome] of Object.entries(kind('gateway ')))
      expect(String(outcome), name).toMatch(CLOSED);
  });

  it('cannot reach an abstract Unix socket of the host', () => {
    expect(outcomes.abstract).toBe('ECONNREFUSED');
  });

  it('cannot change its routes, addresses, interfaces or rules, by netlink or by command', () => {
    for (const [name, outcome] of Object.entries(kind('netlink: '))) expect(outcome, name).toBe(1);
    for (const [name, outcome] of Object.entries(kind('command: '))) {
      const { code, said } = outcome as { code: number; said: string };
      expect(code, `${name}: ${said}`).not.toBe(0);
    }
    expect(['SO_MARK', 'IP_TRANSPARENT'].map((name) => outcomes[name])).toEqual(['EPERM', 'EPERM']);
    expect(outcomes['connect from a foreign address']).not.toBe('connected');
    expect(outcomes.interfaces).toEqual(['all', 'default', 'lo', LINK.guestInterface]);
    expect(String(outcomes.forwarding)).toMatch(/^E(ROFS|ACCES|PERM)$/);
  });
});

describe.each(CALLERS)('host.sand, asked by a guest of the %s', (who) => {
  let world: World;

  beforeAll(() => {
    world = createWorld(who);
  });
  afterAll(() => world.remove());

  it('does not lead back to sand’s own resolver', async () => {
    const port = await freePort();
    world.file('loop.yaml', `version: 1\nname: loop\nrules:\n  - allow: host.sand\n    tcp: [${port}]\n`);
    const asked = `import socket
s = socket.create_connection(('host.sand', ${port}), 3)
s.sendall(bytes.fromhex('001d5a5d010000010000000000000664656e6965640765786d616d706c650000010001'))
try: print('heard', s.recv(100))
except OSError as e: print('closed', e)`;
    const flags = ['--policy', './loop.yaml', '--dns-port', String(port)];
    const output = await world.sand(['run', ...flags, '--', '/usr/bin/python3', '-c', asked]);
    expect(output.stdout).not.toMatch(/heard b'[^']/);
    const refused = (await world.events()).filter(
      (event) => event.kind === 'connection' && event.disposition === 'refused',
    );
    expect(refused).toMatchObject([{ host: 'host.sand', port, reason: 'loop' }]);
  });
});

/** Free for TCP a moment ago; the resolver wants it for UDP as well, where hardly anything listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
