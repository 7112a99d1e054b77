import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createResolver, type Resolver } from '../../dns/resolver.ts';
import { createDnsServer, type DnsServer } from '../../dns/server.ts';
import { a, aaaa, askedType, reply } from './messages.ts';
import {
  address,
  type FakeUpstream,
  fakeUpstream,
  GUEST,
  HOST,
  policy,
  rule,
  type World,
  world,
} from './world.ts';

const run = promisify(execFile);

function hasDig(): boolean {
  try {
    execFileSync('dig', ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A real client against real sockets: what dig prints is what a person sees. */
describe.skipIf(!hasDig())('dig (skipped where it is not installed)', () => {
  let upstream: FakeUpstream;
  let surroundings: World;
  let resolver: Resolver;
  let server: DnsServer;
  const ports = { guest: 0, host: 0 };

  beforeAll(async () => {
    upstream = await fakeUpstream((asked) => [
      reply(asked, {
        answers:
          askedType(asked) === 1
            ? Array.from({ length: 30 }, (_, index) => a('api.example.com', `192.0.2.${index + 1}`))
            : [aaaa('api.example.com', 7)],
      }),
    ]);
    surroundings = world(policy([rule('api.example.com')]), [upstream]);
    resolver = createResolver(surroundings);
    server = createDnsServer({ handler: resolver });
    for (const [asker, place] of [
      ['guest', GUEST],
      ['host', HOST],
    ] as const) {
      const bound = await server.bind(address('127.0.0.1'), 0, place);
      if (!bound.ok) throw new Error(bound.detail);
      ports[asker] = bound.port;
    }
  });

  afterAll(async () => {
    await server.close();
    resolver.close();
    await upstream.close();
  });

  async function dig(asker: 'guest' | 'host', ...words: readonly string[]): Promise<string> {
    const { stdout } = await run('dig', [
      '@127.0.0.1',
      '-p',
      String(ports[asker]),
      '+tries=1',
      '+time=5',
      ...words,
    ]);
    return stdout;
  }

  test('A over UDP and TCP, with and without EDNS: the same synthetic address', async () => {
    for (const how of [['+noedns'], ['+edns=0'], ['+tcp'], ['+tcp', '+noedns'], ['+dnssec', '+cdflag']]) {
      const text = await dig('guest', 'api.example.com', 'A', ...how);
      expect(text).toMatch(/status: NOERROR/);
      expect(text).toMatch(/api\.example\.com\.\s+60\s+IN\s+A\s+198\.18\.1\.1/);
      expect(text).not.toMatch(/WARNING|malformed|Warning/);
      expect(text.includes('OPT PSEUDOSECTION')).toBe(!how.includes('+noedns'));
    }
  });

  test('AAAA and HTTPS are empty without an error', async () => {
    for (const type of ['AAAA', 'HTTPS', 'TXT', 'ANY']) {
      const text = await dig('guest', 'api.example.com', type, '+notcp');
      expect(text).toMatch(/status: NOERROR/);
      expect(text).toMatch(/ANSWER: 0/);
    }
  });

  test('a denied name shows NXDOMAIN and why', async () => {
    const text = await dig('guest', 'evil.example', 'A');
    expect(text).toMatch(/status: NXDOMAIN/);
    expect(text).toMatch(/EDE: 17 \(Filtered\): \(sand: no-rule\)/);
  });

  test('the case of the name comes back', async () => {
    expect(await dig('guest', 'aPi.eXample.COM', 'A')).toContain(';aPi.eXample.COM.');
  });

  test('on the host\u2019s port real addresses come back, over TCP where they are many', async () => {
    const text = await dig('host', 'api.example.com', 'A', '+noedns', '+short', '+ignore');
    expect(text.trim()).toBe('');
    const retried = await dig('host', 'api.example.com', 'A', '+noedns', '+short');
    expect(retried.split('\n').filter((line) => line.startsWith('192.0.2.'))).toHaveLength(30);
    expect(await dig('host', 'api.example.com', 'AAAA', '+short')).toBe('2001:db8::7\n');
  });

  test('opcodes, classes and EDNS versions that sand does not speak', async () => {
    expect(await dig('guest', 'api.example.com', '+opcode=NOTIFY')).toMatch(/status: NOTIMP/);
    expect(await dig('guest', '-c', 'CH', '-t', 'TXT', 'version.bind')).toMatch(/status: REFUSED/);
    expect(await dig('guest', 'api.example.com', '+edns=1', '+noednsnegotiation')).toMatch(/status: BADVERS/);
  });

  test('nothing but the host\u2019s questions reached the upstream', async () => {
    const before = upstream.asked.length;
    await dig('guest', 'secret-in-a-label.evil.example', 'TXT');
    await dig('guest', '-x', '192.0.2.1');
    expect(upstream.asked.length).toBe(before);
    expect(surroundings.decisions.filter((it) => it.asker === 'host').length).toBeGreaterThan(0);
  });
});
