/** `sand gateway`: the proxy and the resolver without a guest, driven by curl and dig from the host. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ALLOWED, createOrigins, DENIED, type Origins } from './origins.ts';
import { createWorld, outputOf, type World } from './sand.ts';

const CLIENT_TIMEOUT_MS = 20_000;
const execute = promisify(execFile);

let origins: Origins;
let world: World;
let proxy: string;
let resolverPort: string;
let ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
let stop: () => void;
let said = '';

beforeAll(async () => {
  origins = await createOrigins();
  world = createWorld();
  world.file(
    'p.yaml',
    `version: 1
name: gateway
requires: {isolation: vm}
rules:
  - allow: ${ALLOWED}
    http: [${origins.httpPort}]
    https: [${origins.httpsPort}]
    addresses: [127.0.0.0/8]
  - allow: "*.origin.test"
    tcp: [${origins.tcpPort}]
`,
  );
  world.file('phases.yaml', 'version: 1\nphases: {setup: {}, run: {}}\n');
  const child = world.start([
    'gateway',
    '--policy',
    './p.yaml',
    '--listen',
    '127.0.0.1:0',
    '--dns-listen',
    '127.0.0.1:0',
    '--dns-upstream',
    `127.0.0.1:${origins.dnsPort}`,
  ]);
  stop = () => child.kill('SIGTERM');
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  ended = outputOf(child, '');
  while (!said.includes('confines nobody')) await once(child.stderr ?? child, 'data');
  proxy = /proxy .* on (127\.0\.0\.1:\d+)/.exec(said)?.[1] ?? '';
  resolverPort = /resolver .* on 127\.0\.0\.1:(\d+)/.exec(said)?.[1] ?? '';
});
afterAll(async () => {
  stop();
  await ended;
  world.remove();
  await origins.close();
});

async function run(file: string, ...args: readonly string[]): Promise<string> {
  try {
    return (await execute(file, args, { timeout: CLIENT_TIMEOUT_MS })).stdout;
  } catch (error) {
    return String(Reflect.get(Object(error), 'stdout'));
  }
}

it('forwards HTTP, tunnels HTTPS and serves SOCKS5 on one port', async () => {
  const ca = ['--cacert', origins.authority];
  const http = `http://${ALLOWED}:${origins.httpPort}/`;
  const https = `https://${ALLOWED}:${origins.httpsPort}/page`;
  expect(await run('curl', '-s', '-x', `http://${proxy}`, http)).toContain('hello from');
  expect(await run('curl', '-s', ...ca, '-x', `http://${proxy}`, https)).toContain('secret hello');
  expect(await run('curl', '-s', ...ca, '-x', `socks5h://${proxy}`, https)).toContain('secret hello');
});

it('refuses what no rule allows, and says why', async () => {
  const refusal = await run(
    'curl',
    '-s',
    '-i',
    '-x',
    `http://${proxy}`,
    `http://${DENIED}:${origins.httpPort}/`,
  );
  expect(refusal).toMatch(/^HTTP\/1\.1 403/);
  expect(refusal).toContain('x-sand-reason:');
});

it('answers allowed names with their vetted addresses, and denied ones not at all', async () => {
  const dig = (name: string) => run('dig', '+tries=1', '+time=5', '-p', resolverPort, '@127.0.0.1', name);
  expect(await dig(ALLOWED)).toMatch(/IN\s+A\s+127\.0\.0\.1/);
  expect(await dig('unknown.example')).toContain('NXDOMAIN');
  // Allowed by name, but it resolves to a loopback address that its rule does not open.
  expect(await dig('other.origin.test')).not.toMatch(/IN\s+A\s+127\./);
});

it('says what its policy requires of guests, which it has none of', () => {
  expect(said).toContain(
    'sand: the policy gateway requires isolation vm: see to that where its clients run\n',
  );
});

it('records decisions as any run does, and seals the log when it is ended', async () => {
  stop();
  expect((await ended).code).toBe(0);
  const events = await world.events();
  expect(events[0]).toMatchObject({ kind: 'run-start', backend: 'none', confinement: 'cooperative' });
  expect(events).toContainEqual(
    expect.objectContaining({ kind: 'connection', via: 'socks', host: ALLOWED, verdict: 'allow' }),
  );
  expect(events.at(-1)).toMatchObject({ kind: 'run-end', exitCode: 0 });
});

it.each([
  [['--listen', '0.0.0.0:0'], 2, 'every interface'],
  [['--listen', 'example.com:1'], 2, 'not an address'],
  [['--listen', '127.0.0.1:0', '--dns-listen', '127.0.0.1:53'], 2, 'port 53'],
  [['--policy', './missing.yaml'], 2, 'no file'],
  [['--policy', './phases.yaml'], 2, 'several phases'],
])('refuses %j', async (flags, code, word) => {
  const refused = await world.sand(['gateway', ...flags]);
  expect(refused.code).toBe(code);
  expect(refused.stderr).toContain(word);
});
