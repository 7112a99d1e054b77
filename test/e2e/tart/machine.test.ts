/**
 * The tart backend with guests that have a kernel of their own behind a card of their own: the cable ends in sand's softnet, as on a Mac. The
 * attack catalogue's cases for a real guest, and what only another kernel's network shows. Skipped with its reason where the machine's
 * parts are missing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { release } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../audit/event.ts';
import type { Row } from '../../../controller/verify/attack.ts';
import { findKernel } from '../../emulators/machine/kernel.ts';
import { missingParts } from '../../emulators/machine/parts.ts';
import { endGuests } from '../background.ts';
import { allOf, holdGuestCases, type Way } from '../conformance-cases.ts';
import { CLIENT_PROGRAM, createTransfers, digestOf } from '../ethernet/transfers.ts';
import { until } from '../lifecycle/conditions.ts';
import { processesAround } from '../lifecycle/remains.ts';
import { createOrigins, type Origins } from '../origins.ts';
import type { RunOutput } from '../sand.ts';
import { createTartWorld, TART, type TartWorld } from './tart-world.ts';

const missing = missingParts();
const why = missing.length === 0 ? '' : ` (skipped: there is no ${missing.join(', no ')})`;

/** An emulated processor on a busy machine; no run here is near it. */
const DEADLINE_MS = 900_000;
/** Of one case, which takes seconds on an idle machine. */
const CASE_SECONDS = 120;
const IMAGE = 'registry.example/linux:latest';
const MIB = 1024 * 1024;
const CONNECTIONS = 100;

function machineWorld(): TartWorld {
  const world = createTartWorld();
  world.be({ runtime: 'qemu' });
  world.image(IMAGE, { os: 'linux' });
  return world;
}

describe.skipIf(missing.length > 0)(`from inside a machine of the tart backend${why}`, () => {
  holdGuestCases({
    world: machineWorld,
    perform: asRoot,
    caseSeconds: CASE_SECONDS,
    deadlineMs: DEADLINE_MS,
  });
});

async function asRoot(...[world, flags, scripts]: Parameters<Way['perform']>): Promise<string> {
  const run = ['run', ...TART, '--image', IMAGE, ...flags, '--', ...rootShell(scripts.join('\n'))];
  return allOf(await world.sand(run, { deadlineMs: DEADLINE_MS }));
}

function rootShell(script: string): readonly string[] {
  return ['sudo', '-n', '-E', 'sh', '-c', script];
}

/** What its kernel, its lease and its gateway say; a card is a device of class 2, whatever it is called. */
const LOOK = `
echo "kernel $(uname -r)"
echo "interfaces $(ls /sys/class/net | tr '\\n' ' ')"
echo "cards $(cat /sys/bus/pci/devices/*/class | grep -c ^0x02)"
for name in ip router dns mtu; do sed -n "s/^$name=/$name /p" /.emulator/lease.env; done
echo "address $(ip -4 -o addr show dev enp0s1 | awk '{print $4}')"
echo "resolver $(sed -n 's/^nameserver //p' /etc/resolv.conf)"
echo "named $(getent hosts "$TRANSFER_HOST" | awk '{print $2}')"
echo "gateway $(busybox ping -c 2 -W 20 198.18.0.1 | grep -c 'bytes from')"
echo "others $(busybox ping -c 1 -W 3 203.0.113.7 | grep -c 'bytes from')"
`;

/** Every way around the resolver and the proxy that its root can think of. */
const ATTEMPTS = `
import os, socket, struct, subprocess
port = int(os.environ['TRANSFER_PORTS'].split(',')[0])
def attempt(what, act):
    try:
        print(what, act() or 'nothing', flush=True)
    except OSError as error:
        print(what, type(error).__name__, flush=True)
def ask(kind, address, port, family=socket.AF_INET):
    s = socket.socket(family, kind)
    # Of IPv6 nobody hears anything; everything else is answered at once.
    s.settimeout(4 if family == socket.AF_INET6 else 30)
    s.connect((address, port))
    s.send(b'hello')
    return s.recv(99)
attempt('raw-planted', lambda: ask(socket.SOCK_STREAM, '203.0.113.21', port))
attempt('raw-unplanted', lambda: ask(socket.SOCK_STREAM, '203.0.113.22', 8123))
attempt('udp', lambda: ask(socket.SOCK_DGRAM, '203.0.113.23', 443))
def sctp():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
    s.sendto(b'\\0' * 32, ('203.0.113.24', 0))
attempt('sctp', sctp)
for words in ('addr add 2001:db8:5::2/64 dev enp0s1 nodad', 'neigh add 2001:db8:5::1 lladdr 02:00:73:61:6e:64 dev enp0s1',
              'route add default via 2001:db8:5::1'):
    subprocess.run(['ip', '-6', *words.split()], check=True)
attempt('tcp6', lambda: ask(socket.SOCK_STREAM, '2001:db8:6::25', port, socket.AF_INET6))
attempt('udp6', lambda: ask(socket.SOCK_DGRAM, '2001:db8:6::26', 53, socket.AF_INET6))
`;

describe.skipIf(missing.length > 0)(`a machine of the tart backend${why}`, { timeout: DEADLINE_MS }, () => {
  let world: TartWorld;
  let origins: Origins;
  let usual: Served;
  let slow: Served;
  let look = '';
  let events: readonly AuditEvent[] = [];

  const exec = (served: Served, command: readonly string[]): Promise<RunOutput> => {
    const ports = ['--env', `TRANSFER_PORTS=${served.ports.join(',')}`];
    return world.sand(['exec', 'machine', ...ports, '--', ...command], { deadlineMs: DEADLINE_MS });
  };
  const client = async (served: Served, ...argv: readonly string[]): Promise<unknown> => {
    const { stdout, stderr } = await exec(served, ['python3', 'client.py', ...argv]);
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  };
  const named = (word: string) =>
    processesAround(world.root).filter(({ commandLine }) => commandLine.includes(word));

  beforeAll(async () => {
    world = machineWorld();
    [origins, usual, slow] = await Promise.all([createOrigins(), serve(0), serve(4)]);
    world.file('client.py', readFileSync(CLIENT_PROGRAM, 'utf8'));
    world.file('attempts.py', ATTEMPTS);
    const ports = [...usual.ports, ...slow.ports].join(', ');
    const rule = `  - allow: bulk.origin.test\n    tcp: [${ports}]\n    addresses: [127.0.0.0/8]\n`;
    world.file('p.yaml', `version: 1\nname: machine\nrules:\n${rule}`);
    const flags = ['--policy', './p.yaml', '--dns-upstream', `127.0.0.1:${origins.dnsPort}`, '--mount', '.'];
    const host = ['--env', 'TRANSFER_HOST=bulk.origin.test'];
    const run = ['run', ...TART, '--image', IMAGE, '-d', '--name', 'machine', ...flags, ...host];
    const up = await world.sand(run, { deadlineMs: DEADLINE_MS });
    expect(up.code, up.stderr).toBe(0);
    look = allOf(await exec(usual, rootShell(LOOK)));
  }, DEADLINE_MS);
  afterAll(async () => {
    await endGuests(world);
    await world.end();
    await Promise.all([origins.close(), usual.close(), slow.close()]);
  }, DEADLINE_MS);

  it('has a kernel of its own', () => {
    expect(look).toContain(`kernel ${findKernel()?.release}\n`);
    expect(findKernel()?.release).not.toBe(release());
  });

  it('has one card besides the loopback, whose other end is the softnet of sand', () => {
    expect(look).toContain('interfaces enp0s1 lo \ncards 1\n');
    const networks = named('qemu-system').map(({ commandLine }) => commandLine.match(/-(netdev|nic) \S+/g));
    expect(networks).toEqual([[expect.stringMatching(/^-netdev dgram,id=cable,local\.type=fd,/)]]);
    expect(named('--vm-fd 0').map(({ commandLine }) => commandLine)).toEqual([
      expect.stringMatching(/softnet\.[jt]s --cable \S+ --vm-fd 0 --vm-mac-address /),
    ]);
  });

  it('gets its address by its own DHCP client, and names by its resolver', () => {
    expect(look).toContain('ip 198.18.0.2\nrouter 198.18.0.1\ndns 198.18.0.1\nmtu 1500\n');
    expect(look).toContain('address 198.18.0.2/30\nresolver 198.18.0.1\nnamed bulk.origin.test\n');
  });

  it('hears the echo of its gateway, and of nobody else', () => {
    expect(look).toContain('gateway 2\nothers 0\n');
  });

  it('carries eight mebibytes each way, byte for byte', async () => {
    const length = 8 * MIB;
    expect(await client(usual, 'down', String(length))).toEqual({ count: length, digest: digestOf(length) });
    expect(await client(usual, 'up', String(length))).toEqual({ answer: `${length} ${digestOf(length)}` });
  });

  it('waits for slow readers on both sides', async () => {
    const length = 2 * MIB;
    expect(await client(usual, 'down', String(length), '0.01', '16384', '16384')).toEqual({
      count: length,
      digest: digestOf(length),
    });
    expect(await client(slow, 'up', String(length))).toEqual({ answer: `${length} ${digestOf(length)}` });
  });

  it('carries a hundred connections at once', async () => {
    const told = await client(usual, 'echo', String(CONNECTIONS), '20000');
    expect(told).toEqual({ done: CONNECTIONS, failed: 0 });
  });

  it('resets, and is reset', async () => {
    expect(await client(usual, 'reset')).toEqual({ error: 'ConnectionResetError' });
    expect(await client(usual, 'abort')).toEqual({ done: true });
  });

  it('gets nowhere around its resolver, whatever its root does', async () => {
    const { stdout, stderr } = await exec(usual, rootShell('python3 attempts.py'));
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^raw-planted (nothing|ConnectionResetError)$/),
      'raw-unplanted ConnectionRefusedError',
      expect.stringMatching(/^udp (ConnectionRefusedError|PermissionError|OSError)$/),
      'sctp nothing',
      'tcp6 TimeoutError',
      'udp6 TimeoutError',
      '',
    ]);
  });

  it('is gone with its cable, and leaves nothing', async () => {
    const [softnet] = named('--vm-fd 0');
    process.kill(softnet?.pid ?? 0, 'SIGKILL');
    await until('the end of everything', () => processesAround(world.root).length === 0, DEADLINE_MS);
    expect(readdirSync(`${world.environment.HOME}/.tart/vms`)).toEqual([]);
    events = await world.events();
    expect(events.at(-1)).toMatchObject({ kind: 'run-end', cause: 'error' });
  });

  it.each([
    { kind: 'connection', host: '203.0.113.21', reason: 'raw-address', disposition: 'refused' },
    { kind: 'unplanted', transport: 'tcp', host: '203.0.113.22', port: 8123 },
    { kind: 'unplanted', transport: 'udp', host: '203.0.113.23', port: 443 },
    { kind: 'unplanted', transport: 'other', host: '203.0.113.24' },
    { kind: 'unplanted', transport: 'tcp', host: '2001:db8:6::25' },
    { kind: 'unplanted', transport: 'udp', host: '2001:db8:6::26', port: 53 },
    { kind: 'unplanted', transport: 'icmp', host: '203.0.113.7' },
  ])('has on record: $transport $host', (wanted) => {
    expect(events).toContainEqual(expect.objectContaining(wanted));
  });
});

interface Served {
  /** In the client's order. */
  readonly ports: readonly number[];
  close(): Promise<void>;
}

/** The transfers' services on this machine, the sink of which waits between two reads. */
async function serve(slowMs: number): Promise<Served> {
  const ports: number[] = [];
  const take = createTransfers<Socket>({ ports, slowMs });
  const sockets = new Set<Socket>();
  const servers = Array.from({ length: 5 }, () =>
    createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
      take(socket);
    }),
  );
  for (const server of servers) ports.push(await listen(server));
  return {
    ports,
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1' }, resolve));
  return (server.address() as AddressInfo).port;
}

describe.skipIf(missing.length > 0)(`sand verify of a machine of the tart backend${why}`, () => {
  it('holds every attack by a kernel of its own, whose root makes frames', {
    timeout: DEADLINE_MS,
  }, async () => {
    const world = machineWorld();
    try {
      const { code, stdout, stderr } = await world.sand(['verify', ...TART, '--image', IMAGE, '--json'], {
        deadlineMs: DEADLINE_MS,
      });
      const rows: readonly Row[] = JSON.parse(stdout || JSON.stringify(stderr));
      expect(rows.filter(({ verdict, must }) => must && verdict !== 'held')).toEqual([]);
      expect(rows.find(({ id }) => id === 'control-frame')).toMatchObject({ happened: 'it works' });
      expect(code).toBe(0);
    } finally {
      await world.end();
    }
  });
});
