/** Port 53 of the host, which sand never holds, and the resolver's own port, which a person can ask with dig. */
import { execFile } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, createOrigins, type Origins } from '../origins.ts';
import { CALLERS, createWorld, type World } from '../sand.ts';
import { follow, until } from './conditions.ts';
import { hostListeners, inRole, socketInodes } from './remains.ts';

/** Holds TCP and UDP 53 of every address of the host, as a VPN's own resolver does; what others hold is as good. */
async function holdPort53(): Promise<() => void> {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const holders = addresses.flatMap(({ address, family, scopeid = 0 }) => {
    const host = scopeid === 0 ? address : `${address}%${scopeid}`;
    const server = createServer((socket) => socket.destroy());
    const socket = createSocket({ type: family === 'IPv4' ? 'udp4' : 'udp6' });
    const both = [isUp(server), isUp(socket)];
    server.listen({ host, port: 53 });
    socket.bind({ address: host, port: 53 });
    return both;
  });
  const closers = await Promise.all(holders);
  return () => {
    for (const close of closers) close?.();
  };
}

function isUp(holder: Server | Socket): Promise<(() => void) | null> {
  return new Promise((resolve) => {
    holder.once('listening', () => resolve(() => void holder.close()));
    holder.once('error', () => resolve(null));
  });
}

const ports = (pid: number) => {
  const own = new Set(socketInodes(pid));
  return hostListeners().flatMap(({ inode, port }) => (own.has(inode) ? [port] : []));
};

let release: () => void = () => {};
beforeAll(async () => {
  if (process.getuid?.() === 0) release = await holdPort53();
});
afterAll(() => release());

describe.each(CALLERS)('the ports of a run of the %s', (who) => {
  let world: World;
  let origins: Origins;
  beforeAll(async () => {
    world = createWorld(who);
    origins = await createOrigins();
    world.file(
      'p.yaml',
      `version: 1\nrules:\n  - allow: ${ALLOWED}\n    http: [${origins.httpPort}]\n    addresses: [127.0.0.0/8]\n`,
    );
  });
  afterAll(async () => {
    world.remove();
    await origins.close();
  });

  const flags = () => ['--policy', './p.yaml', '--dns-upstream', `127.0.0.1:${origins.dnsPort}`];

  it('serves a guest while every port 53 of the host is somebody else\u2019s', async () => {
    if (process.getuid?.() === 0)
      expect(hostListeners().filter(({ port }) => port === 53).length).toBeGreaterThan(1);
    const script = `curl -sS --max-time 20 http://${ALLOWED}:${origins.httpPort}/ && curl -sS --max-time 20 --noproxy '*' http://${ALLOWED}:${origins.httpPort}/`;
    const output = await world.sand(['run', ...flags(), '--', 'sh', '-c', script]);
    expect(output).toMatchObject({
      code: 0,
      stdout: `hello from ${ALLOWED}:${origins.httpPort}\n`.repeat(2),
    });
  });

  it('are never 53: one port of 127.0.0.1, for TCP and UDP, that no other resolver uses', async () => {
    const run = follow(world.start(['run', ...flags(), '--', 'sleep', '77']));
    await until('the command', () => inRole(run.pid, 'command', 'sleep 77'));
    const held = ports(run.pid);
    expect(new Set(held).size).toBe(1);
    for (const port of [53, 1053, 2053, 5353]) expect(held).not.toContain(port);
    run.child.kill('SIGTERM');
    expect(await run.ended()).toBe(143);
  });

  it('answer dig on the host at --dns-port, and record it as the host\u2019s', async () => {
    const port = 20_000 + (process.pid % 10_000) + (who === 'caller' ? 0 : 10_000);
    const run = follow(
      world.start(['run', '--verbose', ...flags(), '--dns-port', String(port), '--', 'sleep', '78']),
    );
    await until('the command', () => inRole(run.pid, 'command', 'sleep 78'));
    expect(run.stderr()).toContain(`dig -p ${port} @127.0.0.1`);
    for (const transport of ['+notcp', '+tcp']) {
      const asked = [
        '-p',
        String(port),
        '@127.0.0.1',
        '+short',
        '+tries=1',
        '+time=10',
        transport,
        ALLOWED,
        'A',
      ];
      expect((await promisify(execFile)('dig', asked)).stdout.trim()).toBe('127.0.0.1');
    }
    const inspected = await world.sand(['inspect', '--json']);
    expect(JSON.parse(inspected.stdout)).toMatchObject({
      alive: true,
      dnsPort: port,
      confinement: 'enforced',
    });
    expect((await world.sand(['inspect'])).stdout).toContain(String(port));
    run.child.kill('SIGTERM');
    await run.ended();
    const asked = (await world.events()).filter((event) => event.kind === 'dns' && event.name === ALLOWED);
    expect(asked).toMatchObject([
      { asker: 'host', transport: 'udp', verdict: 'allow', answer: ['127.0.0.1'] },
      { asker: 'host', transport: 'tcp', verdict: 'allow' },
    ]);
    expect(JSON.parse((await world.sand(['inspect', '--json'])).stdout)).toMatchObject({ alive: false });
  });

  it('say so when --dns-port is taken', async () => {
    const port = String(hostListeners().find((other) => other.port === origins.dnsPort)?.port);
    const output = await world.sand(['run', '--dns-port', port, '--', 'true']);
    expect(output.code).toBe(125);
    expect(output.stderr).toContain('(port-in-use)');
  });
});
