/** A gateway that runs out of descriptors: what is open goes on, what comes is refused, and all is well afterwards. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Client } from '../../proxy/rig.ts';
import { until } from '../lifecycle/conditions.ts';
import { ALLOWED, createOrigins, type Origins } from '../origins.ts';
import {
  busyShare,
  type GatewayProcess,
  limitOpenFiles,
  requestFor,
  startGateway,
} from './gateway-process.ts';

let origins: Origins;
beforeAll(async () => {
  origins = await createOrigins();
});
afterAll(() => origins.close());

let gateway: GatewayProcess;
let clients: Client[] = [];
afterEach(async () => {
  for (const client of clients) client.socket.destroy();
  clients = [];
  expect(await gateway.end()).toBe(0);
});

async function crowd(count: number): Promise<void> {
  clients = await Promise.all(Array.from({ length: count }, () => gateway.client()));
}

const keep = (path: string, host = ALLOWED) => requestFor(origins, path, host, '');

describe('a guest that opens more connections than the gateway has descriptors', () => {
  it('meets its limit first: told, recorded, and those within it are served', async () => {
    gateway = await startGateway(origins, ['prlimit', '--nofile=96:96', '--']);
    const before = gateway.openFiles();
    await crowd(300);
    await until('the rest refused', () => clients.filter(({ ended }) => ended !== null).length === 284);
    const admitted = clients.filter(({ ended }) => ended === null);
    // One after another: so few descriptors do not carry all their questions to the resolver at once.
    for (const [at, client] of admitted.entries()) {
      await client.send(keep(`/admitted-${at}`)).until(/ 200 [\s\S]*hello from/);
    }
    expect(gateway.openFiles()).toBeLessThan(96);
    expect(clients.some(({ text }) => text.includes('x-sand-reason: limit-connections'))).toBe(true);
    expect(gateway.decisions().filter(({ reason }) => reason === 'limit-connections').length).toBeGreaterThan(
      0,
    );
    expect(await busyShare(gateway.pid, 1_000)).toBeLessThan(0.5);
    for (const client of clients) client.socket.destroy();
    await until('room again', () => gateway.openFiles() <= before + 4);
    expect(await gateway.get('/after')).toMatch(/ 200 [\s\S]*hello from/);
  });

  it('meets the kernel where there are hardly any: nothing ends, nothing spins', async () => {
    gateway = await startGateway(origins, ['prlimit', '--nofile=36:36', '--']);
    await crowd(200);
    await until('the rest cut off', () => clients.filter(({ ended }) => ended !== null).length > 180);
    expect(await busyShare(gateway.pid, 1_000)).toBeLessThan(0.5);
    for (const client of clients) client.socket.destroy();
    await until('room again', () => gateway.openFiles() < 32);
    expect(await gateway.get('/after')).toMatch(/ 200 [\s\S]*hello from/);
    expect(gateway.decisions().at(-1)).toMatchObject({ path: '/after', disposition: 'forwarded' });
  });
});

it('without a descriptor to dial or to ask with, each request is refused and recorded with why', async () => {
  gateway = await startGateway(origins);
  const [unknown, known, tunnel] = [await gateway.client(), await gateway.client(), await gateway.client()];
  clients = [unknown, known, tunnel];
  tunnel.send(
    `CONNECT ${ALLOWED}:${origins.tcpPort} HTTP/1.1\r\nHost: ${ALLOWED}:${origins.tcpPort}\r\n\r\n`,
  );
  await tunnel.until(/ 200 /);
  await limitOpenFiles(gateway.pid, 5);
  unknown.send(keep('/unknown', 'never-asked.origin.test'));
  await unknown.until(/ 502 [\s\S]*x-sand-reason: dns-failed/);
  known.send(keep('/known'));
  await known.until(/ 502 [\s\S]*x-sand-reason: upstream-failed/);
  await tunnel.send('still here').until(/echo still here/);
  const decided = (path: string) => gateway.decisions().find((decision) => decision.path === path);
  expect(decided('/unknown')).toMatchObject({
    disposition: 'refused',
    detail: expect.stringContaining('EMFILE'),
  });
  // Where the host's addresses were read long ago, it is their reading that fails, else the dial.
  const close = gateway.events().find((event) => {
    return event.kind === 'close' && event.connection === decided('/known')?.connection;
  });
  expect(Reflect.get(Object(close ?? decided('/known')), 'detail')).toMatch(
    /EMFILE|own addresses cannot be read|own cannot be read/,
  );
  await limitOpenFiles(gateway.pid, 1_000);
  await unknown.send(keep('/again')).until(/hello from/);
  expect(await gateway.get('/new')).toMatch(/ 200 /);
});
