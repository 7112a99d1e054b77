import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { DnsUpstream } from '../../dns/context.ts';
import { DNS_LIMITS, type DnsLimits } from '../../dns/limits.ts';
import { createSystemResolvers } from '../../dns/system-resolvers.ts';
import { createUpstreamClient, type UpstreamClient } from '../../dns/upstream.ts';
import { a, askedName, askedType, reply, soa } from './messages.ts';
import { type FakeUpstream, fakeUpstream, name, type Script } from './world.ts';

const LIMITS: DnsLimits = { ...DNS_LIMITS, datagramTryMs: 150, streamTryMs: 150, lookupMs: 3_000 };
const NEVER = new AbortController().signal;
const EXAMPLE = name('www.example.com');
const FOUND = { kind: 'addresses', addresses: ['192.0.2.7'] };

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0)) await it.close();
});

async function upstream(script: Script): Promise<FakeUpstream> {
  const server = await fakeUpstream(script);
  open.push(server);
  return server;
}

function client(upstreams: () => readonly DnsUpstream[], limits = LIMITS): UpstreamClient {
  const made = createUpstreamClient({ upstreams, limits });
  open.push(made);
  return made;
}

const good: Script = (asked) => [
  askedType(asked) === 1
    ? reply(asked, { answers: [a(askedName(asked), '192.0.2.7')] })
    : reply(asked, { authority: [soa('example.com', 60)] }),
];

const cut: Script = (asked) => [reply(asked, { truncated: true })];
const overTcp =
  (script: Script): Script =>
  (asked, transport) =>
    transport === 'udp' ? cut(asked, transport) : script(asked, transport);

const WRONG_QUESTION = Buffer.from('\x04evil\x07example\0\0\x01\0\x01', 'latin1');

describe('the next server is asked where the first', () => {
  test.each<readonly [string, Script]>([
    ['never gets the id right', (asked) => [reply(asked, { id: asked.readUInt16BE(0) ^ 1 })]],
    ['answers another question', (asked) => [reply(asked, { question: WRONG_QUESTION })]],
    ['sends back the question', (asked) => [asked]],
    ['sends a datagram of nothing', () => [Buffer.alloc(0)]],
    ['says SERVFAIL', (asked) => [reply(asked, { rcode: 2 })]],
    ['says FORMERR', (asked) => [reply(asked, { rcode: 1 })]],
    ['says that its answer is cut over TCP too', overTcp(cut)],
    ['gets the id wrong over TCP', overTcp((asked) => [reply(asked, { id: asked.readUInt16BE(0) ^ 1 })])],
    ['answers another question over TCP', overTcp((asked) => [reply(asked, { question: WRONG_QUESTION })])],
    ['talks nonsense over TCP', overTcp(() => [Buffer.alloc(300, 0xff)])],
    ['sends an empty frame over TCP', overTcp(() => [Buffer.alloc(0)])],
    ['promises more over TCP than it sends', overTcp((asked) => [shortened(asked)])],
  ])('%s', async (_case, script) => {
    const bad = await upstream(script);
    const next = await upstream(good);
    expect(await client(() => [bad, next]).lookup(EXAMPLE, NEVER)).toEqual(FOUND);
    expect(await client(() => [bad]).lookup(EXAMPLE, NEVER)).toMatchObject({ kind: 'failed' });
  });
});

/** Counts a hundred answers that are not there. */
function shortened(asked: Buffer): Buffer {
  const bytes = reply(asked);
  bytes.writeUInt16BE(100, 6);
  return bytes;
}

test('a server that answers too late is passed over, and its late answer goes nowhere', async () => {
  const slow = createSocket('udp4');
  open.push({ close: () => void slow.close() });
  const held: (() => void)[] = [];
  slow.on('message', (asked, from) => {
    const forged = reply(asked, { answers: [a(askedName(asked), '192.0.2.66')] });
    held.push(() => slow.send(forged, from.port, from.address));
  });
  slow.bind({ port: 0, address: '127.0.0.1' });
  await once(slow, 'listening');
  const next = await upstream((asked, transport) => {
    for (const send of held.splice(0)) send();
    return good(asked, transport);
  });
  const upstreams = [{ address: next.address, port: slow.address().port }, next];
  expect(await client(() => upstreams).lookup(EXAMPLE, NEVER)).toEqual(FOUND);
});

test('a server that gave no answer is asked last from then on', async () => {
  const silent = await upstream(() => []);
  const next = await upstream(good);
  const asking = client(() => [silent, next]);
  await asking.lookup(EXAMPLE, NEVER);
  const before = silent.asked.length;
  for (const text of ['a.example', 'b.example', 'c.example']) {
    expect(await asking.lookup(name(text), NEVER)).toEqual(FOUND);
  }
  expect(silent.asked.length).toBe(before);
});

test('an answer of SERVFAIL does not change the order: the name may be at fault', async () => {
  const first = await upstream((asked) =>
    askedName(asked) === 'www.example.com' ? [reply(asked, { rcode: 2 })] : good(asked, 'udp'),
  );
  const next = await upstream(good);
  const asking = client(() => [first, next]);
  expect(await asking.lookup(EXAMPLE, NEVER)).toEqual(FOUND);
  const before = next.asked.length;
  expect(await asking.lookup(name('a.example'), NEVER)).toEqual(FOUND);
  expect(next.asked.length).toBe(before);
});

describe('resolv.conf during a run', () => {
  /** The file names documentation addresses; each stands for a server of the test. */
  async function running(text: string, servers: Readonly<Record<string, Script>>) {
    const folder = mkdtempSync(join(tmpdir(), 'sand-dns-'));
    open.push({ close: () => rmSync(folder, { recursive: true }) });
    const path = join(folder, 'resolv.conf');
    writeFileSync(path, text);
    const real = new Map<string, FakeUpstream>();
    for (const [at, script] of Object.entries(servers)) real.set(at, await upstream(script));
    const current = createSystemResolvers(path);
    const asking = client(() => current().map((server) => real.get(server.address) ?? server));
    return { path, real, asking };
  }

  test('that is replaced: the next question goes to the new server', async () => {
    const { path, real, asking } = await running('nameserver 192.0.2.1\n', {
      '192.0.2.1': good,
      '192.0.2.2': good,
    });
    await asking.lookup(EXAMPLE, NEVER);
    expect(real.get('192.0.2.2')?.asked).toHaveLength(0);
    writeFileSync(`${path}.new`, 'nameserver 192.0.2.2\n');
    renameSync(`${path}.new`, path);
    const before = real.get('192.0.2.1')?.asked.length;
    expect(await asking.lookup(name('b.example'), NEVER)).toEqual(FOUND);
    expect(real.get('192.0.2.1')?.asked.length).toBe(before);
    expect(real.get('192.0.2.2')?.asked).toHaveLength(2);
  });

  test('that is replaced within a lookup: the retry goes to the new server', async () => {
    let replace = (): void => {};
    const { path, asking } = await running('nameserver 192.0.2.1\n', {
      '192.0.2.1': (asked) => {
        replace();
        return [reply(asked, { rcode: 2 })];
      },
      '192.0.2.2': good,
    });
    replace = () => {
      writeFileSync(`${path}.new`, 'nameserver 192.0.2.2\n');
      renameSync(`${path}.new`, path);
    };
    expect(await asking.lookup(EXAMPLE, NEVER)).toEqual(FOUND);
  });

  test('that is empty, or gone: the local machine is asked, or the last server', async () => {
    const { path, real, asking } = await running('', { '127.0.0.1': good });
    expect(await asking.lookup(EXAMPLE, NEVER)).toEqual(FOUND);
    rmSync(path);
    expect(await asking.lookup(name('b.example'), NEVER)).toEqual(FOUND);
    expect(real.get('127.0.0.1')?.asked).toHaveLength(4);
  });
});
