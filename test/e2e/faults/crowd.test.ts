/** A guest that opens ten thousand connections: its own limit holds, and no other gateway feels it. */
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PROXY_LIMITS } from '../../../proxy/limits.ts';
import { follow, until } from '../lifecycle/conditions.ts';
import { ALLOWED, createOrigins, type Origins } from '../origins.ts';
import { createWorld } from '../sand.ts';
import { policyFor, startGateway } from './gateway-process.ts';

const CROWD = 10_000;
/** Of the whole process: twice what it takes, and far below what a crowd that is let in would. */
const MOST_MIB = 512;
const DEADLINE_MS = 180_000;

let origins: Origins;
beforeAll(async () => {
  origins = await createOrigins();
});
afterAll(() => origins.close());

it('ten thousand connections of a guest: those over the limit are refused and counted, and the rest goes on', {
  timeout: DEADLINE_MS,
}, async () => {
  const neighbour = await startGateway(origins);
  const world = createWorld();
  world.file('p.yaml', policyFor(origins));
  copyFileSync(new URL('crowd.py', import.meta.url), join(world.workspace, 'crowd.py'));
  const url = `http://${ALLOWED}:${origins.httpPort}/crowd`;
  const upstream = `127.0.0.1:${origins.dnsPort}`;
  const command = ['python3', 'crowd.py', url, `${ALLOWED}:${origins.tcpPort}`];
  const run = follow(
    world.start(['run', '--policy', './p.yaml', '--dns-upstream', upstream, '--', ...command]),
  );
  await until('the crowd to settle', () => run.stdout().includes('told'), DEADLINE_MS);
  const [held = 0, ended = 0, told = 0] = (run.stdout().match(/\d+/g) ?? []).map(Number);
  // Those that say nothing are let go after their time, and make room for others.
  expect(held).toBeGreaterThan(0);
  expect(held).toBeLessThanOrEqual(PROXY_LIMITS.connections);
  expect(ended).toBe(CROWD - held);
  expect(told).toBeGreaterThan(0);
  expect(await neighbour.get('/neighbour')).toMatch(/ 200 [\s\S]*hello from/);
  const [, peak] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${run.pid}/status`, 'utf8')) ?? [];
  expect(Number(peak) / 1024).toBeLessThan(MOST_MIB);
  run.child.stdin?.end('\n');
  expect(await run.ended(DEADLINE_MS)).toBe(0);
  expect(run.stdout()).toMatch(/^200$/m);
  const over = (await world.events()).flatMap((event) =>
    event.kind === 'connection' && event.reason === 'limit-connections' ? [event.count ?? 1] : [],
  );
  const counted = over.reduce((sum, count) => sum + count, 0);
  expect(counted).toBeGreaterThan(CROWD / 2);
  expect(over.length).toBeLessThan(counted / 50);
  world.remove();
  expect(await neighbour.end()).toBe(0);
});
