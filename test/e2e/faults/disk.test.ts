/** A disk that fills while a gateway or a run is up, and folders that cannot be written: nothing passes unrecorded. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, createOrigins, type Origins } from '../origins.ts';
import { CALLERS, createWorld } from '../sand.ts';
import { policyFor, startGateway } from './gateway-process.ts';

let origins: Origins;
beforeAll(async () => {
  origins = await createOrigins();
});
afterAll(() => origins.close());

/** Becomes `sand` with a small disk of its own where its state lies. */
const SMALL_DISK = [
  'unshare',
  '--map-root-user',
  '--mount',
  '--',
  'sh',
  '-c',
  'mount -t tmpfs -o size=64k none "$XDG_STATE_HOME" && exec "$@"',
  'sh',
];

/** Paths of requests that an origin got. */
const arrived = (prefix: string) =>
  origins.requests.map((line) => line.split(' ')[2] ?? '').filter((path) => path.startsWith(prefix));

describe('a gateway whose disk fills', () => {
  it('refuses from that moment, ends what is open, and stays so when there is room again', async () => {
    const gateway = await startGateway(origins, SMALL_DISK);
    const state = join(gateway.root, gateway.world.environment.XDG_STATE_HOME ?? '');
    expect(await gateway.get('/full-before')).toMatch(/ 200 /);
    const tunnel = await gateway.client();
    tunnel.send(
      `CONNECT ${ALLOWED}:${origins.tcpPort} HTTP/1.1\r\nHost: ${ALLOWED}:${origins.tcpPort}\r\n\r\n`,
    );
    await tunnel.until(/ 200 /);
    const filler = join(state, 'filler');
    fill(filler);
    let last = '';
    for (let at = 0; at < 50 && !last.includes(' 503 '); at += 1) last = await gateway.get(`/full-${at}`);
    expect(last).toMatch(/^HTTP\/1\.1 503 [\s\S]*x-sand-reason: audit-unavailable/);
    expect(await tunnel.ending()).toBe('reset');
    rmSync(filler);
    expect(await gateway.get('/full-after')).toMatch(
      /^HTTP\/1\.1 503 [\s\S]*x-sand-reason: audit-unavailable/,
    );
    expect(await gateway.get('/full-denied', 'denied.example')).toMatch(/^HTTP\/1\.1 503 /);
    const recorded = gateway.decisions().map(({ path }) => path);
    expect(arrived('/full-').filter((path) => !recorded.includes(path))).toEqual([]);
    expect(arrived('/full-after')).toEqual([]);
    expect(gateway.stderr()).toMatch(/^sand: the audit log .*ENOSPC.*; from now on nothing is allowed$/m);
    expect(await gateway.end()).toBe(125);
    expect(gateway.stderr()).toMatch(/\(audit-unavailable\)\n {2}do: /);
  });

  it('does not start where there is no room, nor where its folder is none', async () => {
    const full = [
      'sh',
      '-c',
      `${SMALL_DISK[6]?.replace(' && exec', ' && head -c 1m /dev/zero >"$XDG_STATE_HOME/filler"; exec')}`,
    ];
    const world = createWorld();
    world.file('p.yaml', policyFor(origins));
    const flags = ['gateway', '--policy', './p.yaml', '--listen', '127.0.0.1:0'];
    const refused = await world.sand(flags, { through: [...SMALL_DISK.slice(0, 4), ...full, 'sh'] });
    expect(refused.code).toBe(125);
    expect(refused.stderr).toContain('(audit-unavailable)');
    const place = world.file('no-folder', '');
    const blocked = await world.sand(flags, { environment: { XDG_STATE_HOME: place } });
    expect(blocked.code).toBe(125);
    expect(blocked.stderr).toContain('(audit-unavailable)');
    world.remove();
  });
});

function fill(path: string): void {
  try {
    for (let size = 1; size < 1024; size += 1) writeFileSync(path, Buffer.alloc(4096), { flag: 'a' });
    throw new Error('the disk has no end');
  } catch (error) {
    if (Reflect.get(Object(error), 'code') !== 'ENOSPC') throw error;
  }
}

/** No file grows beyond this, the log included; the signal that would tell of it is not for sand. */
const SMALL_FILES = ['sh', '-c', 'trap "" XFSZ; exec prlimit --fsize=24576 -- "$@"', 'sh'];

describe.each(CALLERS)('a run of the %s whose log can grow no further', (who) => {
  it('is ended at once with the error of that name, and its guest has reached nothing unrecorded', async () => {
    const world = createWorld(who);
    world.file('p.yaml', policyFor(origins));
    const prefix = `/${who.replace(' ', '-')}-`;
    const url = `http://${ALLOWED}:${origins.httpPort}${prefix}`;
    const script = `for at in $(seq 1 300); do curl -s -o /dev/null ${url}$at; done; touch went-on; sleep 60`;
    const upstream = `127.0.0.1:${origins.dnsPort}`;
    const flags = ['run', '--policy', './p.yaml', '--dns-upstream', upstream, '--', 'sh', '-c', script];
    const output = await world.sand(flags, { through: SMALL_FILES });
    expect(output.code).toBe(125);
    expect(output.stderr.match(/\(audit-unavailable\)/g)).toHaveLength(1);
    const recorded = (await world.events()).flatMap((event) =>
      event.kind === 'connection' ? [event.path] : [],
    );
    const reached = arrived(prefix);
    expect(reached.length).toBeGreaterThan(0);
    expect(reached.filter((path) => !recorded.includes(path))).toEqual([]);
    expect(existsSync(join(world.workspace, 'went-on'))).toBe(false);
    world.remove();
  });
});
