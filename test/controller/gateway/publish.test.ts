import { once } from 'node:events';
import { connect, createServer, type Server, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../../audit/event.ts';
import { SandError } from '../../../controller/errors.ts';
import { inboundWithin, type Publisher, publishPorts } from '../../../controller/gateway/publish.ts';
import type { Dial } from '../../../controller/links/dial.ts';
import { parsePortFlags } from '../../../controller/run/port-flag.ts';
import type { IpAddress } from '../../../policies/model.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Stands in for a server of the guest. */
async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    closers.push(() => socket.destroy());
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function dialTo(port: number): Dial {
  return async () => {
    const socket = new Socket({ allowHalfOpen: true });
    socket.on('error', () => {});
    socket.pause();
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('close', () => resolve(false));
      socket.connect({ host: '127.0.0.1', port });
    });
    return connected ? { ok: true, socket } : { ok: false, detail: 'ECONNREFUSED' };
  };
}

interface Rig {
  readonly publisher: Publisher;
  readonly port: number;
  readonly events: AuditEntry[];
}

async function publish(
  dial: Dial | null,
  more: { connections?: number; idleMs?: number; record?: (entry: AuditEntry) => void } = {},
): Promise<Rig> {
  const events: AuditEntry[] = [];
  let next = 1;
  const record = (entry: AuditEntry) => {
    more.record?.(entry);
    return events.push(entry);
  };
  const publisher = await publishPorts({
    ports: parsePortFlags(['0:80']),
    audit: { record },
    takeNumber: () => next++,
    connections: more.connections ?? 10,
    ...(more.idleMs === undefined ? {} : { idleMs: more.idleMs }),
  });
  closers.push(() => publisher.close());
  if (dial !== null) publisher.onDial(dial);
  return { publisher, port: publisher.ports[0]?.hostPort ?? 0, events };
}

function visit(port: number): Socket {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.on('error', () => {});
  closers.push(() => socket.destroy());
  return socket;
}

/** How it ended: `end` for a regular one, else the error's code. */
function ending(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.on('error', (error) => resolve(String(Reflect.get(error, 'code'))));
    socket.on('end', () => resolve('end'));
    socket.on('close', () => resolve('close'));
    socket.resume();
  });
}

const closed = (events: readonly AuditEntry[]) => events.filter(({ kind }) => kind === 'close');

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('a published port', () => {
  it('passes bytes both ways, keeps half-closed connections, and is on record before a byte passes', async () => {
    const seen: string[] = [];
    const guest = await serve((socket) => {
      socket.write('hello\n');
      void text(socket).then((all) => socket.end(`got ${all}`));
    });
    const { port, events } = await publish(dialTo(guest), { record: ({ kind }) => void seen.push(kind) });
    const socket = visit(port);
    socket.on('data', () => seen.push('bytes'));
    socket.end('a question');
    expect(await text(socket)).toBe('hello\ngot a question');
    await until('the close', () => closed(events).length === 1);
    expect(seen[0]).toBe('inbound');
    const [inbound, close] = events;
    expect(inbound).toMatchObject({
      kind: 'inbound',
      address: '127.0.0.1',
      port,
      guestPort: 80,
      connection: 1,
    });
    expect(inbound).toMatchObject({
      disposition: 'forwarded',
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
    expect(close).toMatchObject({ kind: 'close', connection: 1, bytesIn: 10, bytesOut: 20 });
    expect(close).not.toHaveProperty('reason');
  });

  it('resets who comes before the guest is up, and where no server of the guest answers', async () => {
    const early = await publish(null);
    expect(await ending(visit(early.port))).toBe('ECONNRESET');
    expect(early.events).toMatchObject([{ disposition: 'refused', reason: 'guest-port-closed' }]);
    const none = await publish(async () => ({ ok: false, detail: '127.0.0.1: ECONNREFUSED' }));
    expect(await ending(visit(none.port))).toBe('ECONNRESET');
    expect(none.events).toMatchObject([
      { disposition: 'refused', reason: 'guest-port-closed', detail: '127.0.0.1: ECONNREFUSED' },
    ]);
  });

  it('passes no byte that is not on record, and ends what is open once the log fails', async () => {
    let isBroken = false;
    let taken = 0;
    const guest = await serve((socket) => socket.on('data', (chunk: Buffer) => (taken += chunk.length)));
    const { port } = await publish(dialTo(guest), {
      record: () => {
        if (isBroken) throw new Error('disk full');
      },
    });
    const before = visit(port);
    before.write('x');
    await until('the first byte', () => taken === 1);
    const cut = ending(before);
    isBroken = true;
    const after = visit(port);
    after.write('never');
    expect(await ending(after)).toBe('ECONNRESET');
    expect(await cut).toBe('ECONNRESET');
    expect(await ending(visit(port))).toBe('ECONNRESET');
    expect(taken).toBe(1);
  });

  it('carries so many at a time, refuses the rest, and tells a flood by its number', async () => {
    const guest = await serve((socket) => socket.write('up'));
    const { port, events } = await publish(dialTo(guest), { connections: 2 });
    const carried = [visit(port), visit(port)];
    await Promise.all(carried.map((socket) => once(socket, 'data')));
    for (let at = 0; at < 5; at += 1) expect(await ending(visit(port))).toBe('ECONNRESET');
    const refusals = () =>
      events.filter((event) => 'reason' in event && event.reason === 'limit-connections');
    expect(refusals()).toHaveLength(1);
    await until('the number', () => refusals().some((event) => 'count' in event && event.count === 4));
    carried[0]?.resetAndDestroy();
    await until('a place', () => closed(events).length === 1);
    await once(visit(port), 'data');
  });

  it('ends what is idle, and says so', async () => {
    const guest = await serve(() => {});
    const { port, events } = await publish(dialTo(guest), { idleMs: 50 });
    expect(await ending(visit(port))).toBe('ECONNRESET');
    await until('the close', () => closed(events).length === 1);
    expect(closed(events)).toMatchObject([{ reason: 'limit-time' }]);
  });

  it('tells either side by a reset when the other broke off', async () => {
    const guests: Socket[] = [];
    const guest = await serve((socket) => {
      guests.push(socket);
      socket.write('up');
    });
    const { port, events } = await publish(dialTo(guest));
    const first = visit(port);
    await once(first, 'data');
    guests[0]?.resetAndDestroy();
    expect(await ending(first)).toBe('ECONNRESET');
    const second = visit(port);
    await once(second, 'data');
    second.resetAndDestroy();
    expect(await ending(guests[1] ?? second)).toMatch(/ECONNRESET|close/);
    await until('both closes', () => closed(events).length === 2);
  });

  it('does not read ahead of a slow reader', async () => {
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const guest = await serve((socket) => {
      const pour = () => {
        while (written < 256 * 1024 * 1024 && socket.write(chunk)) written += chunk.length;
      };
      socket.on('drain', pour);
      pour();
    });
    const { port } = await publish(dialTo(guest));
    const socket = visit(port);
    socket.pause();
    let last = -1;
    await until('a standstill', () => {
      const stands = written === last && written > 0;
      last = written;
      return stands;
    });
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  it('ends everything when it closes, records the ends, and takes nobody any more', async () => {
    const guest = await serve((socket) => socket.write('up'));
    const { publisher, port, events } = await publish(dialTo(guest));
    const socket = visit(port);
    await once(socket, 'data');
    await publisher.close();
    expect(closed(events)).toMatchObject([{ reason: 'shutting-down' }]);
    expect(await ending(socket)).toBe('ECONNRESET');
    expect(await ending(visit(port))).toBe('ECONNREFUSED');
    await publisher.close();
  });

  it('is sand’s own place, by every loopback address', async () => {
    const { publisher, port } = await publish(null);
    const isOwn = (address: string, at: number) => publisher.isOwn(address as IpAddress, at);
    expect([isOwn('127.0.0.1', port), isOwn('127.9.9.9', port), isOwn('::1', port)]).toEqual([
      true,
      true,
      true,
    ]);
    expect([isOwn('127.0.0.1', port + 1), isOwn('192.0.2.7', port)]).toEqual([false, false]);
  });
});

describe('publishPorts', () => {
  const attempt = async (...flags: readonly string[]): Promise<string> => {
    const options = { audit: { record: () => 1 }, takeNumber: () => 1, connections: 1 };
    try {
      const publisher = await publishPorts({ ...options, ports: parsePortFlags(flags) });
      closers.push(() => publisher.close());
      return 'published';
    } catch (error) {
      return error instanceof SandError ? `${error.code}: ${error.hint}` : String(error);
    }
  };

  it('says what to do about a port in use, and leaves none of the others open', async () => {
    const taken = await serve(() => {});
    const free = (await publish(null)).port;
    await closers.pop()?.();
    expect(await attempt(`${free}:80`, `${taken}:81`)).toMatch(/^port-in-use: write -p 0:81/);
    expect(await ending(visit(free))).toBe('ECONNREFUSED');
  });

  it('says what to do about an address that is none of this host', async () => {
    expect(await attempt('203.0.113.9:0:80')).toMatch(/^usage: name one address of this host/);
  });

  it('listens on ::1 where that is named', async () => {
    expect(await attempt('[::1]:0:80')).toBe('published');
  });
});

it('leaves the descriptors of a small process to the guest’s own connections', () => {
  expect(inboundWithin(null)).toBe(512);
  expect(inboundWithin(1_048_576)).toBe(512);
  expect(inboundWithin(1_024)).toBe(64);
  expect(inboundWithin(8)).toBe(1);
});
