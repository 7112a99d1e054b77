import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Flight } from '../../proxy/flight.ts';
import { Ledger } from '../../proxy/ledger.ts';
import { PROXY_LIMITS } from '../../proxy/limits.ts';
import { type SpliceOptions, splice } from '../../proxy/splice.ts';
import { TurnShare } from '../../proxy/turn-share.ts';
import { addressOf, allow, eventually, policyOf, RawOrigin, Rig } from './rig.ts';

/** A tunnel to a raw origin, through a proxy with small turns. */
async function openTunnel(turnBytes = 64 * 1024) {
  const rig = new Rig({ limits: { turnBytes } });
  const origin = new RawOrigin();
  const originPort = await rig.serve(origin.accept);
  rig.setPolicy(policyOf(allow('a.example', `tcp: [${originPort}]`)));
  const port = await rig.proxyPort();
  const tunnel = async () => {
    const client = await rig.client(port);
    client.send(`CONNECT a.example:${originPort} HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    await client.until(/Established\r\n\r\n$/);
    return client;
  };
  return { rig, origin, tunnel };
}

function upstreamOf(origin: RawOrigin, at = 0): Socket {
  const connection = origin.connections[at];
  if (connection === undefined) throw new Error('no connection');
  return connection.socket;
}

const OPTIONS: SpliceOptions = {
  leftover: Buffer.alloc(0),
  hasGuestEnded: false,
  greeting: Buffer.alloc(0),
  turns: new TurnShare(64 * 1024),
  halfOpenTimeoutMs: 60_000,
};

function flightOf(rig: Rig): Flight {
  const ledger = new Ledger({ record: (entry) => rig.events.push(entry) }, () => rig.inForce, PROXY_LIMITS);
  const host = { kind: 'address', address: addressOf('127.0.0.1') } as const;
  const flight = ledger.open(
    { via: 'connect', host: 'a.example', port: 1, protocol: 'tcp' },
    {
      authority: { host, port: 1 },
      protocol: 'tcp',
      rule: null,
      reason: 'allowed-by-rule',
      muted: false,
      address: host.address,
      route: { kind: 'direct', addresses: [host.address] },
    },
  );
  if (!(flight instanceof Flight)) throw new Error('no flight');
  return flight;
}

/** A splice between two real pairs of sockets. */
async function spliced(rig: Rig, options: Partial<SpliceOptions>) {
  const ends: Socket[] = [];
  const port = await rig.serve((socket) => ends.push(socket));
  const clients = [await rig.client(port), await rig.client(port)] as const;
  await eventually(() => ends.length === 2, 'both');
  const [guest, upstream] = ends;
  if (guest === undefined || upstream === undefined) throw new Error('no sockets');
  splice(guest, upstream, flightOf(rig), { ...OPTIONS, ...options });
  return {
    left: clients[0],
    right: clients[1],
    done: () => eventually(() => rig.closes.length > 0, 'its close'),
  };
}

describe('a splice', () => {
  it('of which one side has ended does not wait for a silent other side for ever', async () => {
    await using rig = new Rig();
    const { left, done } = await spliced(rig, { halfOpenTimeoutMs: 40 });
    left.socket.end();
    await done();
    expect(rig.closes).toMatchObject([{ reason: 'limit-time' }]);
  });

  it('sends first what was read before, and the end that came with it', async () => {
    await using rig = new Rig();
    const greeting = Buffer.from('greeting');
    const { left, right, done } = await spliced(rig, {
      leftover: Buffer.from('first'),
      greeting,
      hasGuestEnded: true,
    });
    await left.until(/^greeting$/);
    await right.until(/^first$/);
    expect(await right.ending()).toBe('end');
    right.socket.end();
    left.socket.end();
    await done();
    expect(rig.closes).toMatchObject([{ bytesOut: 5, bytesIn: 8 }]);
  });

  it('passes megabytes both ways at once, whole and in order, also in tiny turns', async () => {
    const { rig, origin, tunnel } = await openTunnel(512);
    await using _ = rig;
    const client = await tunnel();
    await eventually(() => origin.connections.length === 1, 'the connection');
    const up = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => i % 251));
    const down = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => i % 241));
    client.received = Buffer.alloc(0);
    client.socket.write(up);
    upstreamOf(origin).write(down);
    await eventually(() => client.received.length === down.length, 'down');
    await eventually(() => (origin.connections[0]?.text.length ?? 0) === up.length, 'up');
    expect(client.received.equals(down)).toBe(true);
    expect(Buffer.from(origin.connections[0]?.text ?? '', 'latin1').equals(up)).toBe(true);
    expect(rig.proxy.stats()).toMatchObject({ bytesOut: up.length, bytesIn: down.length });
  });

  it('reads no more of a side than the other takes', async () => {
    const { rig, origin, tunnel } = await openTunnel();
    await using _ = rig;
    const client = await tunnel();
    await eventually(() => origin.connections.length === 1, 'the connection');
    upstreamOf(origin).pause();
    let isHeldBack = false;
    const chunk = Buffer.alloc(1 << 20);
    for (let i = 0; i < 64 && !isHeldBack; i += 1) {
      isHeldBack = await new Promise<boolean>((resolve) => {
        const patience = setTimeout(() => resolve(true), 300);
        client.socket.write(chunk, () => {
          clearTimeout(patience);
          resolve(false);
        });
      });
    }
    expect(isHeldBack).toBe(true);
    const passed = rig.proxy.stats().bytesOut;
    upstreamOf(origin).resume();
    await eventually(() => rig.proxy.stats().bytesOut > passed, 'it goes on');
  });

  it.each([
    { streams: 1, shares: 8 },
    { streams: 2, shares: 8 },
    { streams: 8, shares: 8 },
    { streams: 16, shares: 16 },
  ])('passes no more than its share in one turn, $streams at once', async ({ streams, shares }) => {
    await using rig = new Rig();
    const moved: number[] = [0];
    const greedy = Array.from(
      { length: streams },
      () =>
        new Duplex({
          read() {
            this.push(Buffer.alloc(1024));
          },
          write: (_chunk, _encoding, done) => done(),
        }),
    );
    const turns = new TurnShare(4096);
    await new Promise<void>((resolve) => {
      const tick = (): void => {
        moved.push(0);
        if (moved.length < 30) setImmediate(tick);
        else resolve();
      };
      setImmediate(tick);
      for (const from of greedy) {
        const upstream = new Duplex({
          writableHighWaterMark: 1 << 24,
          read() {},
          write(chunk: Buffer, _encoding, written) {
            moved.push((moved.pop() ?? 0) + chunk.length);
            written();
          },
        });
        splice(from, upstream as Socket, flightOf(rig), { ...OPTIONS, turns });
      }
    });
    for (const from of greedy) from.destroy();
    // The first turns do not know yet how many there are.
    const settled = moved.slice(4);
    expect(Math.max(...settled)).toBeGreaterThan(0);
    expect(Math.max(...settled)).toBeLessThanOrEqual(2 * shares * 4096);
  });

  it('gives a new tunnel its turn while others are busy', async () => {
    const { rig, origin, tunnel } = await openTunnel();
    await using _ = rig;
    const busy = await Promise.all(Array.from({ length: 4 }, tunnel));
    const chunk = Buffer.alloc(1 << 18);
    for (const client of busy) {
      const pump = (): void => void client.socket.write(chunk, () => !client.socket.destroyed && pump());
      pump();
    }
    const fresh = await tunnel();
    fresh.send('hello');
    await eventually(() => origin.connections.some(({ text }) => text === 'hello'), 'the new tunnel');
  });

  it.each(['guest', 'origin'])('passes the end of the %s on, and the other way stays open', async (side) => {
    const { rig, origin, tunnel } = await openTunnel();
    await using _ = rig;
    const client = await tunnel();
    await eventually(() => origin.connections.length === 1, 'the connection');
    const upstream = upstreamOf(origin);
    if (side === 'guest') {
      client.socket.end('last');
      await eventually(() => origin.connections[0]?.hasEnded === true, 'the end');
      upstream.end('answer');
      expect(await client.all()).toMatch(/answer$/);
    } else {
      upstream.end('last');
      await client.ending();
      client.socket.end('answer');
      await eventually(() => origin.text === 'answer', 'the answer');
    }
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.closes[0]?.reason).toBeUndefined();
  });

  it.each(['guest', 'origin'])('passes a reset of the %s on as a reset', async (side) => {
    const { rig, origin, tunnel } = await openTunnel();
    await using _ = rig;
    const client = await tunnel();
    await eventually(() => origin.connections.length === 1, 'the connection');
    if (side === 'guest') client.socket.resetAndDestroy();
    else upstreamOf(origin).resetAndDestroy();
    await eventually(() => rig.closes.length === 1, 'the close');
    await eventually(() => origin.connections[0]?.isClosed === true, 'the origin');
    if (side === 'origin') expect(await client.ending()).toBe('reset');
  });

  it('works for a guest whose connection is no socket of the kernel', async () => {
    const { rig, origin } = await openTunnel();
    await using _ = rig;
    const port = await rig.serve((socket) => {
      // A stream that only has what every stream has.
      const plain = new Duplex({
        allowHalfOpen: true,
        read: () => void socket.resume(),
        write: (chunk, _, done) => void socket.write(chunk, () => done()),
        final: (done) => void socket.end(done),
      });
      socket.on('data', (chunk) => plain.push(chunk) || socket.pause());
      socket.on('end', () => plain.push(null));
      rig.proxy.acceptProxyConnection(plain);
    });
    const to = rig.inForce.policy.rules[0]?.ports.tcp[0]?.from ?? 0;
    const socket = connect(port, '127.0.0.1');
    socket.write(`CONNECT a.example:${to} HTTP/1.1\r\nHost: a.example:${to}\r\n\r\nhello`);
    await eventually(() => origin.text === 'hello', 'the bytes');
    socket.destroy();
  });
});
