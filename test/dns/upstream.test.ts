import { afterEach, describe, expect, test } from 'vitest';
import { DNS_LIMITS, type DnsLimits } from '../../dns/limits.ts';
import { createUpstreamClient, type UpstreamClient } from '../../dns/upstream.ts';
import {
  a,
  aaaa,
  askedName,
  askedType,
  cname,
  type RecordShape,
  reply,
  soa,
  u16,
  wireName,
} from './messages.ts';
import { address, type FakeUpstream, fakeUpstream, name, type Script } from './world.ts';

const LIMITS: DnsLimits = { ...DNS_LIMITS, datagramTryMs: 200, streamTryMs: 200, lookupMs: 3_000 };
const EXAMPLE = name('www.example.com');
const NEVER = new AbortController().signal;

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0)) await it.close();
});

async function upstream(script: Script): Promise<FakeUpstream> {
  const server = await fakeUpstream(script);
  open.push(server);
  return server;
}

function client(
  servers: readonly FakeUpstream[],
  limits: DnsLimits = LIMITS,
  now?: () => number,
): UpstreamClient {
  const created = createUpstreamClient({ upstreams: () => servers, limits, ...(now ? { now } : {}) });
  open.push(created);
  return created;
}

/** Answers by what is in the zone; an empty NOERROR with a SOA otherwise. */
function zone(records: readonly RecordShape[], shape: { rcode?: number } = {}): Script {
  return (asked) => {
    const answers = records.filter(
      (record) => record.name === askedName(asked) && (record.type === askedType(asked) || record.type === 5),
    );
    if (answers.length > 0) return [reply(asked, { answers })];
    return [reply(asked, { authority: [soa('example.com', 60)], ...shape })];
  };
}

describe('lookup', () => {
  test('finds the addresses of both families', async () => {
    const server = await upstream(zone([a('www.example.com', '192.0.2.7'), aaaa('www.example.com', 7)]));
    expect(await client([server]).lookup(EXAMPLE, NEVER)).toEqual({
      kind: 'addresses',
      addresses: ['192.0.2.7', '2001:db8::7'],
    });
  });

  test('asks from a fresh port with a fresh id each time', async () => {
    const server = await upstream((asked) => [reply(asked, { rcode: 3 })]);
    const asking = client([server]);
    for (let index = 0; index < 8; index += 1) await asking.lookup(name(`n${index}.example.com`), NEVER);
    expect(new Set(server.asked.map((it) => it.bytes.readUInt16BE(0))).size).toBeGreaterThan(12);
    expect(new Set(server.asked.map((it) => it.port)).size).toBeGreaterThan(8);
  });

  test('tells a name that does not exist from one without an address', async () => {
    const missing = await upstream(zone([], { rcode: 3 }));
    expect(await client([missing]).lookup(EXAMPLE, NEVER)).toEqual({ kind: 'not-found', exists: false });
    const bare = await upstream(zone([]));
    expect(await client([bare]).lookup(EXAMPLE, NEVER)).toEqual({ kind: 'not-found', exists: true });
  });

  test('follows aliases within the answer and asks further where it stops short', async () => {
    const script: Script = (asked) => {
      if (askedName(asked) === 'www.example.com') {
        return [
          reply(asked, {
            answers: [cname('www.example.com', 'a.cdn.example'), cname('a.cdn.example', 'b.cdn.example')],
          }),
        ];
      }
      return zone([a('b.cdn.example', '192.0.2.9')])(asked, 'udp');
    };
    const server = await upstream(script);
    expect(await client([server]).lookup(EXAMPLE, NEVER)).toEqual({
      kind: 'addresses',
      addresses: ['192.0.2.9'],
    });
  });

  test('takes no address that belongs to another name', async () => {
    const server = await upstream((asked) => [
      reply(asked, { answers: [a('other.example.com', '192.0.2.66')] }),
    ]);
    expect(await client([server]).lookup(EXAMPLE, NEVER)).toEqual({ kind: 'not-found', exists: true });
  });

  test('a loop of aliases ends as a failure', async () => {
    const server = await upstream((asked) => [
      reply(asked, {
        answers: [cname('www.example.com', 'b.example'), cname('b.example', 'www.example.com')],
      }),
    ]);
    expect(await client([server]).lookup(EXAMPLE, NEVER)).toMatchObject({
      kind: 'failed',
      detail: expect.stringContaining('CNAME'),
    });
  });

  test('an endless chain of aliases over many answers ends as a failure', async () => {
    let next = 0;
    const server = await upstream((asked) => {
      next += 1;
      return [reply(asked, { answers: [cname(askedName(asked), `n${next}.example`)] })];
    });
    expect(await client([server]).lookup(EXAMPLE, NEVER)).toMatchObject({ kind: 'failed' });
    expect(server.asked.length).toBeLessThanOrEqual(2 * (LIMITS.chainAsks + 1));
  });

  test('forged and late datagrams are ignored; the true answer counts', async () => {
    const server = await upstream((asked) => [
      reply(asked, { id: asked.readUInt16BE(0) ^ 1, answers: [a('www.example.com', '192.0.2.66')] }),
      reply(asked, {
        question: Buffer.concat([wireName('evil.example'), u16(askedType(asked), 1)]),
        answers: [a('www.example.com', '192.0.2.66')],
      }),
      Buffer.from('not dns at all'),
      ...zone([a('www.example.com', '192.0.2.7')])(asked, 'udp'),
    ]);
    expect(await client([server]).lookup(EXAMPLE, NEVER)).toEqual({
      kind: 'addresses',
      addresses: ['192.0.2.7'],
    });
  });

  test('a flood of forgeries moves the question to TCP', async () => {
    const server = await upstream((asked, transport) =>
      transport === 'tcp'
        ? zone([a('www.example.com', '192.0.2.7')])(asked, 'tcp')
        : Array.from({ length: 40 }, () => reply(asked, { id: asked.readUInt16BE(0) ^ 1 })),
    );
    expect(await client([server]).lookup(EXAMPLE, NEVER)).toMatchObject({ addresses: ['192.0.2.7'] });
    expect(server.asked.filter((it) => it.transport === 'tcp')).toHaveLength(2);
  });

  test('a cut answer is asked again over TCP', async () => {
    const server = await upstream((asked, transport) =>
      transport === 'udp'
        ? [reply(asked, { truncated: true })]
        : zone([a('www.example.com', '192.0.2.7')])(asked, 'tcp'),
    );
    expect(await client([server]).lookup(EXAMPLE, NEVER)).toMatchObject({ addresses: ['192.0.2.7'] });
  });

  test('a server that hangs over TCP is passed over', async () => {
    const hanging = await upstream((asked, transport) =>
      transport === 'udp' ? [reply(asked, { truncated: true })] : [],
    );
    const good = await upstream(zone([a('www.example.com', '192.0.2.7')]));
    expect(await client([hanging, good]).lookup(EXAMPLE, NEVER)).toMatchObject({ addresses: ['192.0.2.7'] });
  });

  test.each([
    ['is silent', () => []],
    ['says SERVFAIL', (asked: Buffer) => [reply(asked, { rcode: 2 })]],
    ['says REFUSED', (asked: Buffer) => [reply(asked, { rcode: 5 })]],
    ['talks nonsense', () => [Buffer.alloc(40, 0xff)]],
  ] as const)('a server that %s is passed over for the next', async (_case, script) => {
    const bad = await upstream(script);
    const good = await upstream(zone([a('www.example.com', '192.0.2.7')]));
    expect(await client([bad, good]).lookup(EXAMPLE, NEVER)).toMatchObject({ addresses: ['192.0.2.7'] });
  });

  test('a dead server is passed over', async () => {
    const dead = await fakeUpstream(() => []);
    await dead.close();
    const good = await upstream(zone([a('www.example.com', '192.0.2.7')]));
    expect(await client([dead, good]).lookup(EXAMPLE, NEVER)).toMatchObject({ addresses: ['192.0.2.7'] });
  });

  test('a forwarder that knows no EDNS is asked without it', async () => {
    const server = await upstream((asked) =>
      asked.readUInt16BE(10) === 1
        ? [Buffer.concat([asked.subarray(0, 2), u16(0x8181, 0, 0, 0, 0)])]
        : zone([a('www.example.com', '192.0.2.7')])(asked, 'udp'),
    );
    expect(await client([server]).lookup(EXAMPLE, NEVER)).toMatchObject({ addresses: ['192.0.2.7'] });
  });

  test('where every server fails, the lookup says which and why', async () => {
    const server = await upstream((asked) => [reply(asked, { rcode: 2 })]);
    expect(await client([server]).lookup(EXAMPLE, NEVER)).toEqual({
      kind: 'failed',
      detail: '127.0.0.1: response code 2',
    });
    expect(await client([]).lookup(EXAMPLE, NEVER)).toMatchObject({ kind: 'failed' });
  });

  test('one family that hangs does not keep the other', async () => {
    const server = await upstream((asked) =>
      askedType(asked) === 28 ? [] : zone([a('www.example.com', '192.0.2.7')])(asked, 'udp'),
    );
    const limits = { ...LIMITS, datagramTryMs: 60_000, lookupMs: 60_000, secondFamilyMs: 50 };
    expect(await client([server], limits).lookup(EXAMPLE, NEVER)).toMatchObject({ addresses: ['192.0.2.7'] });
  });

  test('the whole lookup ends within its limit, whatever the servers do', async () => {
    const silent = await upstream(() => []);
    const limits = { ...LIMITS, datagramTryMs: 60_000, lookupMs: 100 };
    expect(await client([silent], limits).lookup(EXAMPLE, NEVER)).toMatchObject({ kind: 'failed' });
  });

  test('an aborted lookup rejects at once with the reason', async () => {
    const silent = await upstream(() => []);
    const abort = new AbortController();
    const asking = client([silent], { ...LIMITS, datagramTryMs: 60_000, lookupMs: 60_000 });
    const waiting = asking.lookup(EXAMPLE, abort.signal);
    abort.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    await expect(asking.lookup(EXAMPLE, abort.signal)).rejects.toThrow('gone');
  });

  test('close ends every lookup at once, also those that wait for a slot', async () => {
    const silent = await upstream(() => []);
    const asking = client([silent], {
      ...LIMITS,
      datagramTryMs: 60_000,
      lookupMs: 60_000,
      concurrentLookups: 1,
    });
    const waiting = ['a.example', 'b.example', 'c.example'].map((text) => asking.lookup(name(text), NEVER));
    asking.close();
    expect((await Promise.all(waiting)).map((it) => it.kind)).toEqual(['failed', 'failed', 'failed']);
  });

  test('lookups past the waiting room fail at once', async () => {
    const silent = await upstream(() => []);
    const asking = client([silent], {
      ...LIMITS,
      datagramTryMs: 60_000,
      concurrentLookups: 1,
      waitingLookups: 0,
    });
    void asking.lookup(name('a.example'), NEVER);
    expect(await asking.lookup(name('b.example'), NEVER)).toMatchObject({
      detail: 'too many lookups at a time',
    });
  });

  test('lookups of one name at a time share one question', async () => {
    const server = await upstream(zone([a('www.example.com', '192.0.2.7')]));
    const asking = client([server]);
    await Promise.all([
      asking.lookup(EXAMPLE, NEVER),
      asking.lookup(EXAMPLE, NEVER),
      asking.lookup(EXAMPLE, NEVER),
    ]);
    expect(server.asked).toHaveLength(2);
  });
});

describe('the cache', () => {
  async function asksAfter(script: Script, seconds: number): Promise<number> {
    let now = 0;
    const server = await upstream(script);
    const asking = client([server], LIMITS, () => now);
    await asking.lookup(EXAMPLE, NEVER);
    const before = server.asked.length;
    now = seconds * 1_000;
    await asking.lookup(EXAMPLE, NEVER);
    return server.asked.length - before;
  }

  test('answers for as long as the shortest TTL of the chain', async () => {
    const script: Script = (asked) => [
      reply(asked, {
        answers:
          askedType(asked) === 1
            ? [cname('www.example.com', 'b.example', 30), a('b.example', '192.0.2.7', 300)]
            : [],
        authority: [soa('example.com', 60)],
      }),
    ];
    expect(await asksAfter(script, 29)).toBe(0);
    expect(await asksAfter(script, 31)).toBe(2);
  });

  test('holds no TTL longer than its own maximum', async () => {
    const script = zone([a('www.example.com', '192.0.2.7', 2_000_000)]);
    expect(await asksAfter(script, DNS_LIMITS.cacheMaxSeconds - 1)).toBe(0);
    expect(await asksAfter(script, DNS_LIMITS.cacheMaxSeconds + 1)).toBe(2);
  });

  test('remembers a negative answer as long as its SOA says, and not at all without one', async () => {
    expect(await asksAfter(zone([], { rcode: 3 }), 59)).toBe(0);
    expect(await asksAfter(zone([], { rcode: 3 }), 61)).toBe(2);
    expect(await asksAfter((asked) => [reply(asked, { rcode: 3 })], 0)).toBe(2);
  });

  test('a TTL with its top bit set means zero', async () => {
    expect(await asksAfter(zone([a('www.example.com', '192.0.2.7', 0x8000_0000)]), 0)).toBe(2);
  });

  test('does not remember one name as another', async () => {
    const server = await upstream(zone([a('www.example.com', '192.0.2.7')]));
    const asking = client([server]);
    await asking.lookup(EXAMPLE, NEVER);
    expect(await asking.lookup(name('example.com'), NEVER)).toMatchObject({ kind: 'not-found' });
  });
});

test('upstreams are read anew for each question', async () => {
  const first = await upstream(zone([a('a.example', '192.0.2.1')]));
  const second = await upstream(zone([a('b.example', '192.0.2.2')]));
  let servers = [first];
  const asking = createUpstreamClient({ upstreams: () => servers, limits: LIMITS });
  open.push(asking);
  await asking.lookup(name('a.example'), NEVER);
  servers = [second];
  expect(await asking.lookup(name('b.example'), NEVER)).toEqual({
    kind: 'addresses',
    addresses: [address('192.0.2.2')],
  });
});
