/**
 * Published ports with real servers in the guest: HTTP, a WebSocket, large transfers, many connections at once; what
 * becomes of them when the server or sand dies; and that they open no way out.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Followed, follow, until } from './lifecycle/conditions.ts';
import { processes } from './lifecycle/remains.ts';
import { CALLERS, createWorld, type World } from './sand.ts';

const SERVERS = readFileSync(new URL('published/servers.py', import.meta.url), 'utf8');
const GUEST_PORTS = [8001, 8002, 8003, 8004, 8005, 8006, 8009] as const;

interface Published {
  readonly hostPort: number;
  readonly guestPort: number;
}

async function publishedBy(world: World): Promise<ReadonlyMap<number, number>> {
  const { stdout } = await world.sand(['inspect', '--json']);
  const { ports } = JSON.parse(stdout) as { readonly ports: readonly Published[] };
  return new Map(ports.map(({ guestPort, hostPort }) => [guestPort, hostPort]));
}

function visit(port: number): Socket {
  return connect({ host: '127.0.0.1', port, allowHalfOpen: true });
}

function ending(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.on('error', (error) => resolve(String(Reflect.get(error, 'code'))));
    socket.on('end', () => resolve('end'));
    socket.resume();
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Says these bytes, ends its half, and gives what came. */
async function echoed(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = visit(port);
  const chunks: Buffer[] = [];
  socket.end(bytes);
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const dialersOf = (sand: number) =>
  processes().filter(({ parent, commandLine }) => parent === sand && commandLine.includes('/dialer.'));

const worlds: World[] = [];
const runs: Followed[] = [];
const worldOf = (who: (typeof CALLERS)[number]): World => {
  const world = createWorld(who);
  worlds.push(world);
  world.file('servers.py', SERVERS);
  return world;
};
afterAll(() => {
  for (const { child } of runs) child.kill('SIGKILL');
  for (const world of worlds) world.remove();
});

async function begin(world: World, ports: readonly string[], command: readonly string[]): Promise<Followed> {
  const flags = ports.flatMap((port) => ['-p', port]);
  const run = follow(world.start(['run', '--policy', 'strict', ...flags, '--', ...command]));
  runs.push(run);
  return run;
}

const hasPython = existsSync('/usr/bin/python3');

describe.skipIf(!hasPython).each(CALLERS)('ports that a %s publishes', (who) => {
  let world: World;
  let run: Followed;
  let at: (guestPort: (typeof GUEST_PORTS)[number]) => number;

  beforeAll(async () => {
    world = worldOf(who);
    const ports = GUEST_PORTS.map((port) => `0:${port}`);
    run = await begin(world, ports, ['python3', 'servers.py']);
    await run.printed('ready');
    const published = await publishedBy(world);
    at = (guestPort) => published.get(guestPort) ?? 0;
  });
  afterAll(async () => {
    run.child.kill('SIGTERM');
    await run.ended();
  });

  it('show what a web server on 127.0.0.1 of the guest serves', async () => {
    world.file('page.html', 'from the guest');
    const response = await fetch(`http://127.0.0.1:${at(8001)}/page.html`);
    expect([response.status, await response.text()]).toEqual([200, 'from the guest']);
    const missing = await fetch(`http://127.0.0.1:${at(8001)}/none`);
    expect(missing.status).toBe(404);
    await missing.text();
  });

  it('reach servers on ::1, on the guest’s own address, and on all of its interfaces', async () => {
    const response = await fetch(`http://127.0.0.1:${at(8003)}/page.html`);
    expect(await response.text()).toBe('from the guest');
    for (const port of [8004, 8005] as const)
      expect((await echoed(at(port), Buffer.from('word'))).toString()).toBe('hello\nword');
  });

  it('carry a WebSocket, small and large messages', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${at(8002)}/`);
    socket.binaryType = 'arraybuffer';
    const said: (string | number)[] = [];
    const closed = new Promise((resolve, reject) => {
      socket.onopen = () => socket.send('word');
      socket.onmessage = ({ data }: MessageEvent) => {
        said.push(typeof data === 'string' ? data : (data as ArrayBuffer).byteLength);
        if (said.length === 1) socket.send(new Uint8Array(300_000));
        else socket.close();
      };
      socket.onerror = () => reject(new Error('the WebSocket failed'));
      socket.onclose = resolve;
    });
    await closed;
    expect(said).toEqual(['word', 300_000]);
  });

  it('pass large transfers both ways, byte for byte', async () => {
    const bytes = randomBytes(24 * 1024 * 1024);
    const answer = await echoed(at(8005), bytes);
    expect(digest(answer)).toBe(digest(Buffer.concat([Buffer.from('hello\n'), bytes])));
    const close = (await world.events()).findLast(({ kind }) => kind === 'close');
    expect(close).toMatchObject({ bytesIn: bytes.length, bytesOut: bytes.length + 6 });
  });

  it('serve 200 connections at once, each its own', async () => {
    const words = Array.from({ length: 200 }, (_, number) => Buffer.from(`${number}:`.repeat(200)));
    const answers = await Promise.all(words.map((word) => echoed(at(8005), word)));
    expect(answers.map(String)).toEqual(words.map((word) => `hello\n${word}`));
  });

  it('reset at once where nothing listens, and say so in the log', async () => {
    const from = performance.now();
    expect(await ending(visit(at(8009)))).toBe('ECONNRESET');
    expect(performance.now() - from).toBeLessThan(2_000);
    expect(await world.events()).toContainEqual(
      expect.objectContaining({ kind: 'inbound', guestPort: 8009, reason: 'guest-port-closed' }),
    );
  });

  it('reset what is open when the server dies, and what comes after', async () => {
    const socket = visit(at(8006));
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    expect(bytes.toString()).toBe('0123456789');
    socket.write('x');
    expect(await ending(socket)).toMatch(/^(ECONNRESET|end)$/);
    expect(await ending(visit(at(8006)))).toBe('ECONNRESET');
  });

  it('hand over by one program, which has no capability and outlives its own kill', async () => {
    const [dialer] = dialersOf(run.pid);
    const status = readFileSync(`/proc/${dialer?.pid}/status`, 'utf8');
    expect([...status.matchAll(/^Cap\w+:\t(\w+)$/gm)].map(([, set]) => Number(`0x${set}`))).toEqual([
      0, 0, 0, 0, 0,
    ]);
    process.kill(dialer?.pid ?? 0, 'SIGKILL');
    await until('its end', () => !dialersOf(run.pid).some(({ pid }) => pid === dialer?.pid));
    expect((await echoed(at(8005), Buffer.from('again'))).toString()).toBe('hello\nagain');
  });

  it('close when the run ends', async () => {
    const port = at(8005);
    const socket = visit(port);
    await once(socket, 'data');
    run.child.kill('SIGTERM');
    expect(await ending(socket)).toMatch(/^(ECONNRESET|end)$/);
    await run.ended();
    expect(await ending(visit(port))).toBe('ECONNREFUSED');
  });
});

describe.skipIf(!hasPython).each(CALLERS)('ports of a %s', (who) => {
  it.each([false, true])('close when sand is killed, with the dialer stopped: %s', async (isStopped) => {
    const world = worldOf(who);
    const run = await begin(world, ['0:8005'], ['python3', 'servers.py']);
    await run.printed('ready');
    const port = (await publishedBy(world)).get(8005) ?? 0;
    const socket = visit(port);
    await once(socket, 'data');
    const dialers = dialersOf(run.pid);
    expect(dialers).toHaveLength(1);
    for (const { pid } of dialers) if (isStopped) process.kill(pid, 'SIGSTOP');
    process.kill(run.pid, 'SIGKILL');
    await ending(socket);
    await until('nothing is left', () =>
      processes().every(({ pid, start }) => !dialers.some((one) => one.pid === pid && one.start === start)),
    );
    // Not only looked for: a killed process is a zombie before the last of its threads has let go of its sockets.
    await run.ended();
    expect(await ending(visit(port))).toBe('ECONNREFUSED');
  });

  it('are no way out: not from the guest’s loopback, and by no rule for the host', async () => {
    const world = worldOf(who);
    const port = await freePort();
    world.file(
      'p.yaml',
      `version: 1\nname: p\nrules:\n  - allow: host.sand\n    tcp: [${port}]\n  - allow: [127.0.0.1, "::ffff:127.0.0.1", 0.0.0.0]\n    tcp: [${port}]\n`,
    );
    world.file(
      'back.py',
      [
        'import socket, subprocess, sys',
        `server = subprocess.Popen([sys.executable, "-m", "http.server", "8001"], stderr=subprocess.DEVNULL)`,
        'def ask(place):',
        '    try:',
        `        with socket.create_connection((place, ${port}), 5) as s:`,
        '            s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")',
        '            return s.recv(100)',
        '    except OSError as error:',
        '        return type(error).__name__',
        'def through(place):',
        '    with socket.create_connection(("198.18.0.1", 3128), 5) as s:',
        `        s.sendall(f"CONNECT {place}:${port} HTTP/1.1\\r\\nHost: {place}:${port}\\r\\n\\r\\n".encode())`,
        '        return s.recv(12).decode()',
        'print([ask("127.0.0.1"), ask("host.sand")])',
        'print([through(place) for place in ["127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"]])',
        'server.kill()',
      ].join('\n'),
    );
    const flags = ['run', '--policy', './p.yaml', '-p', `${port}:8001`];
    const { stdout } = await world.sand([...flags, '--', 'python3', 'back.py']);
    expect(stdout).toBe(
      `['ConnectionRefusedError', 'ConnectionResetError']\n['HTTP/1.1 403', 'HTTP/1.1 403', 'HTTP/1.1 403']\n`,
    );
    const events = await world.events();
    const loops = events.filter((event) => event.kind === 'connection' && event.reason === 'loop');
    expect(loops).toHaveLength(4);
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'connection', host: 'host.sand', reason: 'loop' }),
    );
    expect(events.filter(({ kind }) => kind === 'inbound')).toEqual([]);
  });
});

describe('a port that cannot be published', () => {
  it('is an error before anything is started, with what to write', async () => {
    const world = worldOf('caller');
    const holder = createServer().listen({ port: 0, host: '127.0.0.1' });
    await once(holder, 'listening');
    const address = holder.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const taken = await world.sand(['run', '-p', `${port}:80`, '--', 'echo', 'ran']);
    holder.close();
    expect(taken).toMatchObject({ code: 125, stdout: '' });
    expect(taken.stderr).toMatch(/port-in-use[\s\S]*-p 0:80/);
    const everywhere = await world.sand(['run', '-p', '0.0.0.0:8080:80', '--', 'echo', 'ran']);
    expect(everywhere).toMatchObject({ code: 2, stdout: '' });
    expect(everywhere.stderr).toContain('every interface');
    const resolver = await world.sand(['run', '-p', '5353', '--', 'echo', 'ran']);
    expect(resolver).toMatchObject({ code: 2, stdout: '' });
    const foreign = await world.sand(['run', '-p', '203.0.113.9:8080:80', '--', 'echo', 'ran']);
    expect(foreign).toMatchObject({ code: 2, stdout: '' });
    expect(foreign.stderr).toContain('name one address of this host');
  });
});
