import { readdirSync, readlinkSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandInGuest, startStandInGuest } from '../../../../bench/attribution/rig.ts';
import type { ClientEnd } from '../../../../controller/backends/backend.ts';
import {
  type Attribution,
  type AttributionOptions,
  openAttribution,
} from '../../../../controller/backends/linux/attribution.ts';

let guest: StandInGuest;
let place: { readonly server: Server; readonly port: number };
const accepted: Socket[] = [];

beforeAll(async () => {
  guest = await startStandInGuest();
  place = await guest.listen();
  place.server.on('connection', (socket) => {
    socket.on('error', () => {});
    accepted.push(socket);
  });
});

afterAll(async () => {
  for (const socket of accepted) socket.destroy();
  await guest.end();
});

/** Patient: what is measured here is not how busy this machine is. */
function open(options: AttributionOptions = {}): Attribution {
  const limits = { lookMs: 10_000, burstMs: 60_000, ...options.limits };
  const attribution = openAttribution(guest.initPid, { ...options, limits });
  if (attribution === null) throw new Error('this machine does not let sand look');
  return attribution;
}

const tcp = (port: number, address = '127.0.0.1'): ClientEnd => ({
  transport: 'tcp',
  address,
  port,
  destination: { address, port: place.port },
});

interface Child {
  readonly pid: number;
  readonly port: number;
}

async function child(args: readonly string[] = [], argv0 = 'builder', host = '127.0.0.1'): Promise<Child> {
  return (await guest.ask({ do: 'child', port: place.port, argv0, args, host })) as Child;
}

describe('the process behind a connection', () => {
  test('is named as the guest numbers it, with its command line', async () => {
    using look = disposable(open());
    const { pid, port } = await child(['install', 'left pad']);
    const found = look.attribute(tcp(port));
    expect(found?.pid).toBe(pid);
    expect(found?.command).toMatch(/^builder -e /);
    expect(found?.command).toContain('-- install left pad');
    await guest.ask({ do: 'end-children' });
  });

  test('is found among others, and again when it connects again', async () => {
    using look = disposable(open());
    await guest.ask({ do: 'crowd', count: 60 });
    const [first, second] = [await child([], 'one'), await child([], 'two')];
    for (const { pid, port } of [first, second, first, second])
      expect(look.attribute(tcp(port))?.pid).toBe(pid);
    const ports = (await guest.ask({ do: 'connect', port: place.port, count: 3 })) as number[];
    for (const port of ports) expect(look.attribute(tcp(port))?.pid).toBe(1);
    await guest.ask({ do: 'end-children' });
  });

  test('is found where it connected by IPv6', async () => {
    using look = disposable(open());
    const { pid, port } = await child([], 'six', '::1');
    expect(look.attribute(tcp(port, '::1'))?.pid).toBe(pid);
    await guest.ask({ do: 'end-children' });
  });

  test('is found behind a datagram of a socket that is bound to every address', async () => {
    using look = disposable(open());
    const port = (await guest.ask({ do: 'datagram' })) as number;
    expect(look.attribute({ transport: 'udp', address: '127.0.0.1', port })?.pid).toBe(1);
  });

  test('keeps its secrets out of the log', async () => {
    using look = disposable(open());
    const { port } = await child(['--token', 'hunter2hunter2', 'https://me:pw@example.com/?k=v']);
    const command = look.attribute(tcp(port))?.command ?? '';
    expect(command).toContain('[redacted]');
    expect(command).not.toMatch(/hunter2|me:pw|k=v/);
    await guest.ask({ do: 'end-children' });
  });

  test('that writes control characters in its command line is passed on for the log to escape', async () => {
    using look = disposable(open());
    const { port } = await child(['\u001b[2Jx\ny']);
    expect(look.attribute(tcp(port))?.command).toContain('\u001b[2Jx\ny');
    await guest.ask({ do: 'end-children' });
  });
});

describe('what cannot be told', () => {
  test('is absent for a process that has ended', async () => {
    using look = disposable(open());
    const { port } = await child();
    await guest.ask({ do: 'end-children' });
    expect(look.attribute(tcp(port))).toBeNull();
  });

  test('is absent for an end that nobody has, and for what is no address', () => {
    using look = disposable(open());
    for (const address of ['127.0.0.1', '::1', '', 'x', '1.2.3', '1:2', '::1::', '999.1.1.1'])
      expect(look.attribute(tcp(1, address))).toBeNull();
    expect(look.attribute({ transport: 'udp', address: '::1', port: 1 })).toBeNull();
  });

  test('is absent beyond the bounds on sockets, processes, descriptors and time', async () => {
    await guest.ask({ do: 'connect', port: place.port, count: 30 });
    await guest.ask({ do: 'crowd', count: 20 });
    const [port = 0] = (await guest.ask({ do: 'connect', port: place.port, count: 1 })) as number[];
    for (const limits of [
      { tableBytes: 0 },
      { processes: 3 },
      { listed: 0 },
      { descriptors: 2 },
      { lookMs: -1 },
    ]) {
      using look = disposable(open({ limits }));
      expect(look.attribute(tcp(port)), JSON.stringify(limits)).toBeNull();
    }
    using look = disposable(open());
    expect(look.attribute(tcp(port))?.pid).toBe(1);
    await guest.ask({ do: 'end-children' });
  });

  test('is absent while looks have taken more than their share of the time', async () => {
    const [port = 0] = (await guest.ask({ do: 'connect', port: place.port, count: 1 })) as number[];
    let at = 0;
    // Each reading of the clock is ten milliseconds later: a look takes longer than it may.
    const now = () => (at += 10);
    using look = disposable(open({ now, limits: { burstMs: 3, share: 0.01, lookMs: 1_000 } }));
    expect(look.attribute(tcp(port))?.pid).toBe(1);
    expect(look.attribute(tcp(port))).toBeNull();
    at += 100_000;
    expect(look.attribute(tcp(port))?.pid).toBe(1);
  });

  test('is nothing of the host: another first process than that of a guest is not looked into', () => {
    expect(openAttribution(process.pid)).toBeNull();
    expect(openAttribution(2 ** 22)).toBeNull();
  });

  test('is everything once it is closed, and then no descriptor is left', async () => {
    const before = descriptors();
    const attribution = open();
    expect(descriptors()).toBeGreaterThan(before);
    attribution.close();
    attribution.close();
    expect(descriptors()).toBe(before);
    const { port } = await child();
    expect(attribution.attribute(tcp(port))).toBeNull();
    await guest.ask({ do: 'end-children' });
  });
});

/** Those that lead into a /proc, which nothing else of this process holds. */
function descriptors(): number {
  return readdirSync('/proc/self/fd').filter((name) => {
    try {
      return /^\/(proc$|proc\/|\d+\/net|$)/.test(readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      return false;
    }
  }).length;
}

function disposable(attribution: Attribution): Attribution & Disposable {
  return { ...attribution, [Symbol.dispose]: () => attribution.close() };
}
