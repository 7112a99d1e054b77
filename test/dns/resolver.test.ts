import { afterEach, describe, expect, test } from 'vitest';
import { DNS_LIMITS } from '../../dns/limits.ts';
import { type Answer, TYPES } from '../../dns/message.ts';
import type { Resolution } from '../../dns/plan.ts';
import { createResolver, type Resolver, type ResolverOptions } from '../../dns/resolver.ts';
import type { UpstreamClient } from '../../dns/upstream.ts';
import type { Hostname, PolicyInForce } from '../../policies/model.ts';
import type { ProxyContext } from '../../proxy/context.ts';
import { a, askedType, reply, soa } from './messages.ts';
import {
  address,
  type FakeUpstream,
  fakeUpstream,
  GUEST,
  HOST,
  name,
  policy,
  question,
  rule,
  type World,
  world,
} from './world.ts';

const NEVER = new AbortController().signal;
const ALLOWING = policy([
  rule('api.example.com'),
  rule('*.cdn.example.com'),
  rule('evil.cdn.example.com', { verb: 'deny' }),
]);

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0)) await it.close();
});

interface FakeClient extends UpstreamClient {
  readonly asked: Hostname[];
}

function resolving(answer: (asked: Hostname) => Resolution | Promise<Resolution>): FakeClient {
  const asked: Hostname[] = [];
  return {
    asked,
    lookup: async (it) => {
      asked.push(it);
      return answer(it);
    },
    close: () => {},
  };
}

const REAL = resolving(() => ({
  kind: 'addresses',
  addresses: [address('192.0.2.7'), address('2001:db8::7'), address('10.0.0.1')],
}));

function resolver(surroundings: World, options: ResolverOptions = {}): Resolver {
  const created = createResolver(surroundings, options);
  open.push(created);
  return created;
}

function told(answer: Answer): unknown {
  return [answer.rcode, answer.records.map((record) => record.data).join(' ')];
}

async function realUpstream(): Promise<FakeUpstream> {
  const server = await fakeUpstream((asked) =>
    askedType(asked) === TYPES.A
      ? [reply(asked, { answers: [a('api.example.com', '192.0.2.7'), a('real.example', '192.0.2.8')] })]
      : [reply(asked, { authority: [soa('example.com', 60)] })],
  );
  open.push(server);
  return server;
}

describe('synthetic answers', () => {
  test('an allowed name gets an address that stays its own', async () => {
    const surroundings = world(ALLOWING);
    const dns = resolver(surroundings);
    expect(told(await dns.answer(question('API.example.com'), GUEST))).toEqual(['NOERROR', '198.18.1.1']);
    expect(told(await dns.answer(question('x.cdn.example.com'), GUEST))).toEqual(['NOERROR', '198.18.1.2']);
    expect(told(await dns.answer(question('api.example.com'), GUEST))).toEqual(['NOERROR', '198.18.1.1']);
    expect(dns.meaning(address('198.18.1.1'))).toEqual({ kind: 'name', name: 'api.example.com' });
    expect(dns.meaning(address('198.18.9.9'))).toEqual({ kind: 'unknown-synthetic' });
    expect(told(await dns.answer(question('1.1.18.198.in-addr.arpa', TYPES.PTR), GUEST))).toEqual([
      'NOERROR',
      'api.example.com',
    ]);
  });

  test('nothing leaves the host: not for denied names, not for allowed ones, not for any type', async () => {
    const server = await realUpstream();
    const dns = resolver(world(ALLOWING, [server]));
    const names = [
      'api.example.com',
      'evil.example',
      'evil.cdn.example.com',
      'a.b.example',
      'host.sand',
      'x.sand',
      '1.1.1.1.in-addr.arpa',
      'localhost',
      '',
    ];
    for (const text of names) {
      for (const type of [...Object.values(TYPES), 65_280]) await dns.answer(question(text, type), GUEST);
    }
    expect(server.asked).toHaveLength(0);
  });

  test('a denied name is NXDOMAIN with the rule in an extended error', async () => {
    const answer = await resolver(world(ALLOWING)).answer(question('evil.cdn.example.com'), GUEST);
    expect(told(answer)).toEqual(['NXDOMAIN', '']);
    expect(answer.extendedError).toEqual({
      code: 15,
      text: 'sand: deny-rule (test/deny:evil.cdn.example.com)',
    });
  });
});

describe('the record', () => {
  test('every decision is recorded, repeats included, with its rule and policy', async () => {
    const surroundings = world(ALLOWING);
    const dns = resolver(surroundings);
    for (let index = 0; index < 3; index += 1) await dns.answer(question('api.example.com'), GUEST);
    await dns.answer(question('evil.example', TYPES.TXT), { ...GUEST, transport: 'tcp' });
    expect(surroundings.decisions).toHaveLength(4);
    expect(surroundings.decisions[0]).toMatchObject({
      kind: 'dns',
      asker: 'guest',
      transport: 'udp',
      name: 'api.example.com',
      type: 'A',
      rcode: 'NOERROR',
      verdict: 'allow',
      reason: 'allowed-by-rule',
      disposition: 'answered',
      rule: { id: 'test/allow:api.example.com', file: 'test.yaml', line: 3 },
      policy: 'sha256:00',
      answer: ['198.18.1.1'],
    });
    expect(surroundings.decisions[3]).toMatchObject({
      transport: 'tcp',
      name: 'evil.example',
      type: 'TXT',
      rcode: 'NXDOMAIN',
      verdict: 'deny',
      reason: 'no-rule',
      disposition: 'refused',
      rule: null,
      suggestion: '- allow: evil.example',
    });
  });

  test('it is written before the answer is there', async () => {
    const surroundings = world(ALLOWING);
    let recorded = -1;
    await resolver(surroundings)
      .answer(question('api.example.com'), GUEST)
      .then(() => {
        recorded = surroundings.decisions.length;
      });
    expect(recorded).toBe(1);
  });

  test('a log that cannot be written is a SERVFAIL: nothing is allowed', async () => {
    const surroundings = world(ALLOWING);
    const dns = resolver(surroundings);
    surroundings.breakLog();
    const hits: unknown[] = [];
    dns.registerProbe('n1.probe.sand');
    dns.onProbe((hit) => hits.push(hit));
    for (const text of ['api.example.com', 'evil.example', 'localhost', 'n1.probe.sand']) {
      expect(told(await dns.answer(question(text), GUEST))).toEqual(['SERVFAIL', '']);
    }
    expect(hits).toEqual([]);
  });

  test('a malformed message is recorded with its name escaped, and a broken log does not throw', () => {
    const surroundings = world(ALLOWING);
    const dns = resolver(surroundings);
    const fault = {
      id: 1,
      opcode: 0,
      recursionDesired: true,
      rcode: 'FORMERR',
      detail: 'x',
      name: 'a\\000',
      type: null,
    } as const;
    dns.recordFault(fault, GUEST);
    dns.recordFault({ ...fault, rcode: 'NOTIMP' }, GUEST);
    expect(surroundings.decisions).toMatchObject([
      { name: 'a\\000', type: '', rcode: 'FORMERR', reason: 'dns-malformed', verdict: 'deny' },
      { reason: 'dns-opcode-refused' },
    ]);
    surroundings.breakLog();
    expect(() => dns.recordFault(fault, GUEST)).not.toThrow();
  });

  test('a fault of sand\u2019s own is a recorded refusal', async () => {
    const surroundings = world(ALLOWING);
    const failing = resolving(() => Promise.reject(new Error('bug')));
    expect(
      told(await resolver(surroundings, { upstream: failing }).answer(question('api.example.com'), HOST)),
    ).toEqual(['SERVFAIL', '']);
    expect(surroundings.decisions).toMatchObject([{ verdict: 'deny', reason: 'internal-error' }]);
  });
});

describe('vetted answers', () => {
  test('an allowed name gets its real addresses past the guard, recorded as the host\u2019s', async () => {
    const surroundings = world(ALLOWING);
    const dns = resolver(surroundings, { upstream: REAL });
    expect(told(await dns.answer(question('api.example.com'), HOST))).toEqual(['NOERROR', '192.0.2.7']);
    expect(told(await dns.answer(question('api.example.com', TYPES.AAAA), HOST))).toEqual([
      'NOERROR',
      '2001:db8::7',
    ]);
    expect(surroundings.decisions[0]).toMatchObject({ asker: 'host', answer: ['192.0.2.7'] });
  });

  test('a name that resolves to guarded addresses alone is refused', async () => {
    const surroundings = world(ALLOWING);
    const rebinding = resolving(() => ({
      kind: 'addresses',
      addresses: [address('127.0.0.1'), address('203.0.113.77')],
    }));
    const answer = await resolver(surroundings, { upstream: rebinding }).answer(
      question('api.example.com'),
      HOST,
    );
    expect(told(answer)).toEqual(['NXDOMAIN', '']);
    expect(surroundings.decisions).toMatchObject([{ verdict: 'deny', reason: 'address-guarded' }]);
  });

  test('a denied name is not asked', async () => {
    const asking = resolving(() => ({ kind: 'not-found', exists: false }));
    await resolver(world(ALLOWING), { upstream: asking }).answer(question('evil.example'), HOST);
    expect(asking.asked).toEqual([]);
  });

  test('works over a real socket', async () => {
    const server = await realUpstream();
    expect(told(await resolver(world(ALLOWING, [server])).answer(question('api.example.com'), HOST))).toEqual(
      ['NOERROR', '192.0.2.7'],
    );
  });
});

describe('report mode', () => {
  const reporting = policy([rule('evil.example', { verb: 'deny' })], 'report');

  test('a real name gets a synthetic address, one that does not exist the true NXDOMAIN', async () => {
    const surroundings = world(reporting);
    const upstream = resolving((asked) =>
      asked === 'real.example'
        ? { kind: 'addresses', addresses: [address('192.0.2.8')] }
        : { kind: 'not-found', exists: asked === 'bare.example' },
    );
    const dns = resolver(surroundings, { upstream });
    expect(told(await dns.answer(question('real.example'), GUEST))).toEqual(['NOERROR', '198.18.1.1']);
    expect(told(await dns.answer(question('real.example', TYPES.AAAA), GUEST))).toEqual(['NOERROR', '']);
    expect(told(await dns.answer(question('missing.example'), GUEST))).toEqual(['NXDOMAIN', '']);
    expect(told(await dns.answer(question('bare.example'), GUEST))).toEqual(['NOERROR', '']);
    expect(surroundings.decisions[0]).toMatchObject({ verdict: 'allow', reason: 'would-be-denied' });
  });

  test('deny rules hold: the name is not asked', async () => {
    const upstream = resolving(() => ({ kind: 'addresses', addresses: [address('192.0.2.8')] }));
    const dns = resolver(world(reporting), { upstream });
    expect(told(await dns.answer(question('evil.example'), GUEST))).toEqual(['NXDOMAIN', '']);
    expect(upstream.asked).toEqual([]);
  });

  test('reserved names and the host itself stay closed', async () => {
    const upstream = resolving(() => ({ kind: 'addresses', addresses: [address('192.0.2.8')] }));
    const dns = resolver(world(reporting), { upstream });
    for (const text of ['x.sand', 'host.sand', 'x.onion', '1.1.1.1.in-addr.arpa']) {
      expect(told(await dns.answer(question(text), GUEST))).toEqual(['NXDOMAIN', '']);
    }
    expect(upstream.asked).toEqual([]);
  });

  test('a policy that changed while the upstream was asked decides', async () => {
    const surroundings = world(reporting);
    const upstream = resolving(() => {
      surroundings.use(policy([]));
      return { kind: 'addresses', addresses: [address('192.0.2.8')] };
    });
    expect(told(await resolver(surroundings, { upstream }).answer(question('real.example'), GUEST))).toEqual([
      'NXDOMAIN',
      '',
    ]);
    expect(surroundings.decisions).toMatchObject([{ verdict: 'deny', reason: 'no-rule' }]);
  });
});

describe('limits', () => {
  test('a guest that asks too often is refused at once and recorded; the host is not', async () => {
    const surroundings = world(ALLOWING);
    const limits = { ...DNS_LIMITS, requestBurst: 2, requestsPerSecond: 1 };
    const dns = resolver(surroundings, { limits, now: () => 0, upstream: REAL });
    const rcodes: string[] = [];
    for (let index = 0; index < 3; index += 1)
      rcodes.push((await dns.answer(question('api.example.com'), GUEST)).rcode);
    expect(rcodes).toEqual(['NOERROR', 'NOERROR', 'REFUSED']);
    expect(surroundings.decisions[2]).toMatchObject({
      verdict: 'deny',
      reason: 'limit-requests',
      rcode: 'REFUSED',
    });
    expect((await dns.answer(question('api.example.com'), HOST)).rcode).toBe('NOERROR');
  });

  test('too many distinct names under one wildcard are refused and recorded; names known so far still work', async () => {
    const surroundings = world(ALLOWING);
    const dns = resolver(surroundings, { limits: { ...DNS_LIMITS, namesPerWildcard: 2 }, upstream: REAL });
    const ask = async (text: string): Promise<string> => (await dns.answer(question(text), GUEST)).rcode;
    expect([
      await ask('a.cdn.example.com'),
      await ask('b.cdn.example.com'),
      await ask('c.cdn.example.com'),
    ]).toEqual(['NOERROR', 'NOERROR', 'REFUSED']);
    expect([
      await ask('a.cdn.example.com'),
      await ask('api.example.com'),
      await ask('other.example'),
    ]).toEqual(['NOERROR', 'NOERROR', 'NXDOMAIN']);
    expect(surroundings.decisions[2]).toMatchObject({
      reason: 'limit-names',
      rule: { id: 'test/allow:*.cdn.example.com' },
    });
    expect(await dns.lookup(name('c.cdn.example.com'), NEVER)).toMatchObject({
      kind: 'failed',
      reason: 'limit-names',
    });
    expect(await dns.lookup(name('a.cdn.example.com'), NEVER)).toMatchObject({ kind: 'addresses' });
  });

  test('in report mode, names that no rule grants are bounded as well', async () => {
    const surroundings = world(policy([rule('api.example.com')], 'report'));
    const limits = { ...DNS_LIMITS, namesUngranted: 1 };
    const dns = resolver(surroundings, { limits, upstream: REAL });
    const asked: string[] = [];
    for (const text of ['a.example', 'b.example', 'a.example', 'api.example.com'])
      asked.push((await dns.answer(question(text), GUEST)).rcode);
    expect(asked).toEqual(['NOERROR', 'REFUSED', 'NOERROR', 'NOERROR']);
    expect(surroundings.decisions[1]).toMatchObject({ reason: 'limit-names', rule: null });
    expect(await dns.lookup(name('b.example'), NEVER)).toMatchObject({ reason: 'limit-names' });
  });

  test('a flood past the rate, and one of malformed messages, cost a line each and one more for the count', async () => {
    const surroundings = world(ALLOWING);
    const limits = { ...DNS_LIMITS, requestBurst: 1, requestsPerSecond: 0 };
    const dns = resolver(surroundings, { limits, now: () => 0 });
    const fault = {
      id: 1,
      opcode: 0,
      recursionDesired: true,
      rcode: 'FORMERR',
      name: 'a',
      type: null,
    } as const;
    for (let index = 0; index < 2_000; index += 1) {
      expect((await dns.answer(question('evil.example'), GUEST)).rcode).toBe(
        index === 0 ? 'NXDOMAIN' : 'REFUSED',
      );
      dns.recordFault({ ...fault, detail: 'odd' }, GUEST);
    }
    expect(surroundings.decisions).toHaveLength(3);
    dns.close();
    expect(surroundings.decisions.map(({ reason, detail }) => [reason, detail])).toEqual([
      ['no-rule', undefined],
      ['dns-malformed', 'odd'],
      ['limit-requests', undefined],
      ['dns-malformed', 'and 1999 more refused like the one before; the last: odd'],
      ['limit-requests', 'and 1998 more refused like the one before'],
    ]);
  });

  test('a person on the host spends no names of the guest', async () => {
    const dns = resolver(world(ALLOWING), { limits: { ...DNS_LIMITS, namesPerWildcard: 0 }, upstream: REAL });
    expect((await dns.answer(question('a.cdn.example.com'), HOST)).rcode).toBe('NOERROR');
    expect((await dns.answer(question('a.cdn.example.com'), GUEST)).rcode).toBe('REFUSED');
  });

  test('questions past the pending limit are refused at once', async () => {
    let release = (): void => {};
    const held = new Promise<Resolution>((resolve) => {
      release = () => resolve({ kind: 'not-found', exists: false });
    });
    const dns = resolver(world(ALLOWING), {
      limits: { ...DNS_LIMITS, pendingRequests: 1 },
      upstream: resolving(() => held),
    });
    const first = dns.answer(question('api.example.com'), HOST);
    expect((await dns.answer(question('api.example.com'), HOST)).rcode).toBe('REFUSED');
    release();
    expect((await first).rcode).toBe('NXDOMAIN');
    expect((await dns.answer(question('api.example.com'), HOST)).rcode).toBe('NXDOMAIN');
  });
});

describe('lookup for the proxy', () => {
  test('asks an allowed name and gives every address, not vetted', async () => {
    expect(
      await resolver(world(ALLOWING), { upstream: REAL }).lookup(name('api.example.com'), NEVER),
    ).toMatchObject({
      addresses: ['192.0.2.7', '2001:db8::7', '10.0.0.1'],
    });
  });

  test('never asks what the policy in force does not allow, nor reserved names', async () => {
    const asking = resolving(() => ({ kind: 'not-found', exists: false }));
    const dns = resolver(world(ALLOWING), { upstream: asking });
    expect(await dns.lookup(name('evil.example'), NEVER)).toMatchObject({
      kind: 'failed',
      reason: 'policy-changed',
    });
    expect(await dns.lookup(name('x.sand'), NEVER)).toEqual({ kind: 'not-found' });
    expect(await dns.lookup(name('localhost'), NEVER)).toEqual({ kind: 'not-found' });
    expect(asking.asked).toEqual([]);
  });

  test('host.sand is the host\u2019s own loopback', async () => {
    expect(await resolver(world(policy([rule('host.sand')]))).lookup(name('host.sand'), NEVER)).toEqual({
      kind: 'addresses',
      addresses: ['127.0.0.1', '::1'],
    });
  });

  test('host.sand that no rule names is refused, also in report mode', async () => {
    for (const inForce of [policy([]), policy([], 'report')]) {
      expect(await resolver(world(inForce)).lookup(name('host.sand'), NEVER)).toMatchObject({
        kind: 'failed',
      });
    }
  });

  test('fits what the proxy is given', () => {
    const dns = resolver(world(ALLOWING));
    const fits: Pick<ProxyContext, 'lookup' | 'meaning'> = dns;
    expect(fits).toBe(dns);
  });

  test('rejects for an aborted signal', async () => {
    await expect(
      resolver(world(ALLOWING)).lookup(name('api.example.com'), AbortSignal.abort(new Error('gone'))),
    ).rejects.toThrow('gone');
  });
});

describe('probes', () => {
  test('a registered name is answered by an address and told to the gateway, until it stops listening', async () => {
    const surroundings = world(policy([]));
    const dns = resolver(surroundings);
    const hits: string[] = [];
    const stop = dns.onProbe((hit) => hits.push(`${hit.name} ${hit.origin.asker}`));
    dns.registerProbe('N1.probe.sand');
    expect(told(await dns.answer(question('n1.PROBE.sand'), GUEST))).toEqual(['NOERROR', '198.18.1.1']);
    expect(told(await dns.answer(question('n2.probe.sand'), GUEST))).toEqual(['NXDOMAIN', '']);
    stop();
    await dns.answer(question('n1.probe.sand'), GUEST);
    expect(hits).toEqual(['n1.probe.sand guest']);
    expect(surroundings.decisions[0]).toMatchObject({ verdict: 'allow', reason: 'reserved-name' });
  });

  test('only names under probe.sand can be registered, and only so many', () => {
    const dns = resolver(world(policy([])), { limits: { ...DNS_LIMITS, probes: 1 } });
    expect(() => dns.registerProbe('api.example.com')).toThrow('.probe.sand');
    expect(() => dns.registerProbe('probe.sand')).toThrow('.probe.sand');
    dns.registerProbe('n1.probe.sand');
    expect(() => dns.registerProbe('n2.probe.sand')).toThrow('too many');
  });
});

test('after close every question is refused, and what waited is ended', async () => {
  const silent = await fakeUpstream(() => []);
  open.push(silent);
  const surroundings = world(ALLOWING, [silent]);
  const dns = resolver(surroundings);
  const waiting = dns.answer(question('api.example.com'), HOST);
  await expect.poll(() => silent.asked.length).toBeGreaterThan(0);
  dns.close();
  expect((await waiting).rcode).toBe('SERVFAIL');
  expect((await dns.answer(question('api.example.com'), GUEST)).rcode).toBe('REFUSED');
  expect(surroundings.decisions.map((it) => it.reason)).toEqual(['shutting-down', 'shutting-down']);
});

test('a policy that is replaced is in force for the next question', async () => {
  const surroundings = world(ALLOWING);
  const dns = resolver(surroundings);
  expect((await dns.answer(question('api.example.com'), GUEST)).rcode).toBe('NOERROR');
  const none: PolicyInForce = policy([]);
  surroundings.use(none);
  expect((await dns.answer(question('api.example.com'), GUEST)).rcode).toBe('NXDOMAIN');
});
