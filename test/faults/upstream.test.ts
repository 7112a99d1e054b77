/** Origins that fail in every way: what the guest sees of it, what the log says, and that the gateway lives on. */
import { describe, expect, it } from 'vitest';
import { tlsAlert } from '../../proxy/refusal.ts';
import { helloBytes } from '../proxy/hello-bytes.ts';
import { eventually } from '../proxy/rig.ts';
import { createFaultWorld, type FaultWorld, OK, type OriginScript } from './world.ts';

/** Long enough for a good request on a busy machine, and all that a hanging origin is waited for. */
const IMPATIENT = { idleTimeoutMs: 1_000 };

/** Does `act` once the head of a request is whole. */
const onHead =
  (act: (socket: Parameters<OriginScript>[0]) => void): OriginScript =>
  (socket, text) => {
    if (text.endsWith('\r\n\r\n')) act(socket);
  };
const says = (bytes: string): OriginScript => onHead((socket) => socket.write(bytes, 'latin1'));
const saysAnd = (bytes: string, then: 'end' | 'destroy' | 'resetAndDestroy'): OriginScript =>
  onHead((socket) => socket.write(bytes, 'latin1', () => socket[then]()));

interface Fault {
  readonly fault: string;
  readonly origin: OriginScript;
  /** Text that the guest gets, or that its connection is reset after it. */
  readonly sees: RegExp | 'reset';
  /** Of the close. */
  readonly log: Readonly<Record<string, unknown>>;
}

const refused = (status: number, reason: string): RegExp =>
  new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*x-sand-reason: ${reason}\r\n`);
const failed = {
  sees: refused(502, 'upstream-failed'),
  log: { reason: 'upstream-failed', detail: expect.any(String), bytesIn: 0 },
};
const brokenOff = { sees: 'reset', log: { reason: 'upstream-failed', status: 200 } } as const;
const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n';

const FAULTS: readonly Fault[] = [
  {
    fault: 'resets the connection at once',
    origin: (socket) => void socket.resetAndDestroy(),
    sees: refused(502, 'upstream-(refused|failed)'),
    log: { reason: expect.stringMatching(/^upstream-(refused|failed)$/), detail: expect.any(String) },
  },
  {
    fault: 'resets the connection before its answer',
    origin: onHead((socket) => socket.resetAndDestroy()),
    sees: refused(502, 'upstream-refused'),
    log: { reason: 'upstream-refused', detail: 'ECONNRESET' },
  },
  {
    fault: 'ends the connection before its answer',
    origin: onHead((socket) => socket.end()),
    ...failedLike(),
  },
  {
    fault: 'ends in the middle of its head',
    origin: saysAnd('HTTP/1.1 200 OK\r\nX: ', 'end'),
    ...failedLike(),
  },
  {
    fault: 'resets in the middle of a body with a length',
    origin: saysAnd(HALF, 'resetAndDestroy'),
    ...brokenOff,
  },
  {
    fault: 'resets in the middle of a chunk',
    origin: saysAnd(`${CHUNKED}9\r\nha`, 'resetAndDestroy'),
    ...brokenOff,
  },
  { fault: 'ends below its content-length', origin: saysAnd(HALF, 'end'), ...brokenOff },
  { fault: 'ends without its last chunk', origin: saysAnd(CHUNKED, 'end'), ...brokenOff },
  { fault: 'sends a chunk size that is none', origin: says(`${CHUNKED}zz\r\n`), ...brokenOff },
  { fault: 'sends a chunk longer than its size', origin: says(`${CHUNKED}2\r\nhalf\r\n`), ...brokenOff },
  {
    fault: 'sends more than its content-length',
    origin: says(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`),
    sees: /^HTTP\/1\.1 200 (?![\s\S]*evil)[\s\S]*fine$/,
    log: { status: 200 },
  },
  {
    fault: 'sends its answer byte by byte',
    origin: onHead((socket) => void drip(socket, OK)),
    sees: /^HTTP\/1\.1 200 [\s\S]*fine$/,
    log: { status: 200 },
  },
  { fault: 'sends bytes that are no HTTP', origin: says('SSH-2.0-x\r\n\r\n'), ...failed },
  { fault: 'sends TLS', origin: says('\x16\x03\x03\x00\x02\x02\x28'), ...failed },
  { fault: 'sends bytes of zero', origin: says('\0'.repeat(4096)), ...failed },
  {
    fault: 'answers with two framings',
    origin: says('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
    ...failed,
  },
  {
    fault: 'answers with two lengths',
    origin: says('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'),
    ...failed,
  },
  {
    fault: 'switches protocols unasked',
    origin: says('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    ...failed,
  },
  {
    fault: 'sends a head without end',
    origin: says(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`),
    ...failed,
  },
  {
    fault: 'sends fields without end',
    origin: says(`HTTP/1.1 200 OK\r\n${'X: x\r\n'.repeat(20_000)}`),
    ...failed,
  },
  {
    fault: 'sends interim answers without end',
    origin: onHead((socket) => flood(socket, 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100))),
    sees: /^(HTTP\/1\.1 102 Processing\r\n\r\n){8}HTTP\/1\.1 502 [\s\S]*x-sand-reason: upstream-failed/,
    log: { reason: 'upstream-failed', detail: 'the origin sends interim answers without end', bytesIn: 216 },
  },
];

const HANGING: readonly Fault[] = [
  {
    fault: 'accepts and says nothing',
    origin: () => {},
    sees: refused(504, 'upstream-timeout'),
    log: { reason: 'upstream-timeout', detail: 'no answer in time' },
  },
  {
    fault: 'hangs in the middle of its head',
    origin: says('HTTP/1.1 200 OK\r\nContent-'),
    sees: refused(504, 'upstream-timeout'),
    log: { reason: 'upstream-timeout' },
  },
  {
    fault: 'hangs in the middle of its body',
    origin: says(HALF),
    sees: 'reset',
    log: { reason: 'limit-time', status: 200 },
  },
];

/** Some ends are seen as a reset, by the order in which the kernel tells them. */
function failedLike(): Pick<Fault, 'sees' | 'log'> {
  return {
    sees: refused(502, 'upstream-(refused|failed)'),
    log: { reason: expect.stringMatching(/^upstream-(refused|failed)$/), detail: expect.any(String) },
  };
}

async function drip(socket: Parameters<OriginScript>[0], bytes: string): Promise<void> {
  for (const byte of bytes) await new Promise((resolve) => socket.write(byte, resolve));
}

/** As fast as it is taken, until the connection is gone. */
function flood(socket: Parameters<OriginScript>[0], bytes: string): void {
  if (!socket.destroyed) socket.write(bytes, () => setImmediate(flood, socket, bytes));
}

/** `bad.example` is asked once; what the guest saw and the log says is as the fault tells. */
async function meet(
  world: FaultWorld,
  { sees, log }: Pick<Fault, 'sees' | 'log'>,
  port: number,
): Promise<void> {
  const client = await world.request('bad.example', port, '/met');
  if (sees === 'reset') expect(await client.ending()).toBe('reset');
  else expect(await client.all()).toMatch(sees);
  expect(client.text).not.toContain('127.0.0.1');
  await eventually(() => world.closes.length > 0, 'the close');
  const decided = world.decisions.find(({ path }) => path === '/met');
  expect(decided).toMatchObject({ verdict: 'allow', disposition: 'forwarded', host: 'bad.example' });
  const closes = world.closes.filter(({ connection }) => connection === decided?.connection);
  expect(closes).toEqual([expect.objectContaining(log)]);
  if (sees !== 'reset') return;
  expect(client.text).toContain('half');
}

describe('an origin', () => {
  it('that refuses is a 502, on record with what the system said', async () => {
    await using world = await createFaultWorld();
    const log = { reason: 'upstream-refused', detail: '127.0.0.1: ECONNREFUSED' };
    await meet(world, { sees: refused(502, 'upstream-refused'), log }, world.ports.dead);
    await world.expectAlive();
  });

  it.each(FAULTS)('that $fault', async (fault) => {
    await using world = await createFaultWorld({ origin: fault.origin });
    await meet(world, fault, world.ports.bad);
    await world.expectAlive();
  });

  it.concurrent.each(HANGING)('that $fault', async (fault) => {
    await using world = await createFaultWorld({ origin: fault.origin, proxy: IMPATIENT });
    await meet(world, fault, world.ports.bad);
    await world.expectAlive();
  });

  it('that hangs while it declines an upgrade holds no place for ever', async () => {
    const origin = says('HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nhalf');
    await using world = await createFaultWorld({ origin, proxy: IMPATIENT });
    const client = await world.client();
    const { bad } = world.ports;
    client.send(
      `GET http://bad.example:${bad}/chat HTTP/1.1\r\nHost: bad.example:${bad}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\n\r\n`,
    );
    expect(await client.ending()).toBe('reset');
    expect(world.closes).toMatchObject([{ reason: 'limit-time', status: 403 }]);
    await world.expectAlive();
  });
});

describe('inside a TLS tunnel, an origin', () => {
  const hello = helloBytes({ names: ['bad.example'] });
  const tunnel = async (world: FaultWorld, port: number) => {
    const client = await world.client();
    client.send(`CONNECT bad.example:${port} HTTP/1.1\r\nHost: bad.example:${port}\r\n\r\n`);
    await client.until(/ 200 /);
    return client.send(hello);
  };

  it('that refuses is told by a fatal alert, for the 200 is out already', async () => {
    await using world = await createFaultWorld();
    const client = await tunnel(world, world.ports.deadTls);
    expect(Buffer.from(await client.all(), 'latin1').subarray(-7)).toEqual(tlsAlert('internal_error'));
    expect(world.decisions).toMatchObject([{ disposition: 'forwarded', sni: 'bad.example' }]);
    expect(world.closes).toMatchObject([
      { reason: 'upstream-refused', detail: '127.0.0.1: ECONNREFUSED', bytesOut: 0 },
    ]);
    await world.expectAlive();
  });

  it('that resets in the middle is a reset', async () => {
    const origin: OriginScript = (socket, text) => {
      if (text !== '') socket.write('half', () => socket.resetAndDestroy());
    };
    await using world = await createFaultWorld({ origin });
    const client = await tunnel(world, world.ports.tls);
    expect(await client.ending()).toBe('reset');
    await eventually(() => world.closes.length > 0, 'the close');
    expect(world.closes).toMatchObject([{ reason: 'upstream-refused', bytesOut: hello.length }]);
    await world.expectAlive();
  });

  it('that hangs is given up when nothing moves', async () => {
    await using world = await createFaultWorld({ proxy: IMPATIENT });
    const client = await tunnel(world, world.ports.tls);
    expect(await client.ending()).toBe('reset');
    await eventually(() => world.closes.length > 0, 'the close');
    expect(world.closes).toMatchObject([{ reason: 'limit-time', bytesOut: hello.length }]);
    await world.expectAlive();
  });
});
