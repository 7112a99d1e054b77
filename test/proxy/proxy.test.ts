import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AuditUnavailable } from '../../audit/unavailable.ts';
import { PROXY_LIMITS } from '../../proxy/limits.ts';
import { createProxy } from '../../proxy/proxy.ts';
import { helloBytes } from './hello-bytes.ts';
import { allow, type Client, eventually, policyOf, RawOrigin, Rig, type RigOptions } from './rig.ts';

async function withTcpOrigin(options: RigOptions = {}, top = '') {
  const rig = new Rig(options);
  const origin = new RawOrigin((socket, text) => {
    if (text.endsWith('ping')) socket.write('pong');
  });
  const originPort = await rig.serve(origin.accept);
  rig.setPolicy(policyOf(allow('a.example', `tcp: [${originPort}]`), top));
  const port = await rig.proxyPort();
  const tunnel = async (): Promise<Client> => {
    const client = await rig.client(port);
    return client.send(`CONNECT a.example:${originPort} HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
  };
  return { rig, origin, originPort, port, tunnel };
}

const count = (rig: Rig, kind: string) => rig.events.filter((event) => event.kind === kind).length;

describe('the order of things', () => {
  it('is: record, then dial', async () => {
    const { rig, origin, tunnel } = await withTcpOrigin();
    await using _ = rig;
    let dialledBefore = -1;
    rig.onRecord = (entry) => {
      if (entry.kind === 'connection') dialledBefore = origin.connections.length;
    };
    await (await tunnel()).until(/Established/);
    await eventually(() => origin.connections.length === 1, 'the dial');
    expect(dialledBefore).toBe(0);
  });

  it('looks a name up once, and dials what was vetted though the name has moved', async () => {
    const { rig, origin, tunnel } = await withTcpOrigin();
    await using _ = rig;
    await (await tunnel()).send('ping').until(/pong/);
    expect(rig.lookedUp).toEqual(['a.example']);
    expect(origin.connections.length).toBe(1);
  });

  it('leaves out the addresses that the guard refuses, and dials the others', async () => {
    const { rig, tunnel } = await withTcpOrigin({
      lookups: {
        'a.example': {
          kind: 'addresses',
          addresses: ['10.0.0.1', '169.254.169.254', '127.0.0.1'] as never[],
        },
      },
    });
    await using _ = rig;
    await (await tunnel()).until(/Established/);
    expect(rig.decisions).toMatchObject([{ address: '127.0.0.1', disposition: 'forwarded' }]);
  });

  it('judges by the policy of the moment of the dial, not of the question', async () => {
    const { rig, origin, tunnel } = await withTcpOrigin();
    await using _ = rig;
    rig.onLookup = async () => rig.setPolicy(policyOf(''));
    expect(await (await tunnel()).all()).toMatch(/403 [\s\S]*no-rule/);
    expect(origin.connections.length).toBe(0);
  });
});

describe('when the system does not tell the host\u2019s own addresses', () => {
  it('nothing is dialled, and the guest is told', async () => {
    const { rig, origin, tunnel } = await withTcpOrigin();
    await using _ = rig;
    rig.onHostAddresses = () => {
      throw new Error('too many open files');
    };
    expect(await (await tunnel()).all()).toMatch(/^HTTP\/1\.1 502 [\s\S]*x-sand-reason: upstream-failed/);
    expect(rig.decisions).toMatchObject([
      { disposition: 'refused', detail: expect.stringContaining('too many open files') },
    ]);
    expect(origin.connections.length).toBe(0);
    rig.onHostAddresses = () => {};
    await (await tunnel()).until(/Established/);
  });
});

describe('when the audit log cannot be written', () => {
  it('nothing is dialled, and everything later is refused', async () => {
    const { rig, origin, port, tunnel } = await withTcpOrigin();
    await using _ = rig;
    rig.onRecord = () => {
      throw new AuditUnavailable('/dev/full', 'no space left');
    };
    const text = await (await tunnel()).all();
    expect(text).toMatch(/^HTTP\/1\.1 503 [\s\S]*x-sand-reason: audit-unavailable/);
    expect(text).not.toContain('/dev/full');
    rig.onRecord = () => {};
    expect(await (await tunnel()).all()).toMatch(/503 /);
    const denied = await rig.client(port);
    denied.send('GET http://c.example/ HTTP/1.1\r\nHost: c.example\r\nConnection: close\r\n\r\n');
    expect(await denied.all()).toMatch(/^HTTP\/1\.1 503 /);
    expect(origin.connections.length).toBe(0);
    expect(rig.events).toEqual([]);
  });

  it('what is open ends', async () => {
    const { rig, origin, tunnel } = await withTcpOrigin();
    await using _ = rig;
    const open = await tunnel();
    await open.send('ping').until(/pong/);
    rig.onRecord = () => {
      throw new Error('disk');
    };
    await (await tunnel()).all();
    await open.ending();
    await eventually(() => origin.connections[0]?.isClosed === true, 'the upstream');
  });
});

describe('limits', () => {
  it('of connections: one more is told so and recorded once; a place that is free again is given', async () => {
    const { rig, tunnel, port } = await withTcpOrigin({}, 'limits: {connections: 2}\n');
    await using _ = rig;
    const first = await tunnel();
    const second = await tunnel();
    await first.until(/Established/);
    await second.until(/Established/);
    expect(await (await rig.client(port)).all()).toMatch(/^HTTP\/1\.1 503 [\s\S]*limit-connections/);
    expect(rig.decisions.filter(({ reason }) => reason === 'limit-connections').length).toBe(1);
    first.socket.resetAndDestroy();
    await eventually(() => rig.proxy.stats().connections === 1, 'a free place');
    await (await tunnel()).until(/Established/);
  });

  it('of connections hold for streams, and a flood is cut off', async () => {
    const { rig } = await withTcpOrigin({ limits: { connections: 0 } });
    await using _ = rig;
    const client = await rig.client(await rig.streamPort('203.0.113.1', 443));
    expect(await client.ending()).toBe('reset');
    const port = await rig.proxyPort();
    const flood = await Promise.all(Array.from({ length: 60 }, () => rig.client(port)));
    await Promise.all(flood.map((one) => one.ending()));
    const told = flood.filter((one) => one.text.includes('limit-connections')).length;
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThan(60);
  });

  it('of bytes out: not one byte more goes upstream, and nothing new is dialled', async () => {
    const { rig, origin, tunnel } = await withTcpOrigin({}, 'limits: {bytesOut: 1KiB}\n');
    await using _ = rig;
    const client = await tunnel();
    await client.until(/Established/);
    client.send('x'.repeat(1000));
    await eventually(() => origin.text.length === 1000, 'what is within');
    client.send('y'.repeat(100));
    await client.ending();
    expect(origin.text).not.toContain('y');
    expect(rig.closes).toMatchObject([{ reason: 'limit-bytes', bytesOut: 1000 }]);
    const small = await tunnel();
    await small.until(/Established/);
    small.send('z'.repeat(24));
    await eventually(() => origin.text.endsWith('z'), 'the last bytes');
    expect(await (await tunnel()).all()).toMatch(/403 [\s\S]*limit-bytes/);
  });

  it('of bytes in hold for answers of plain HTTP', async () => {
    const rig = new Rig();
    await using _ = rig;
    const origin = new RawOrigin((socket) =>
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n${'x'.repeat(9000)}`),
    );
    const originPort = await rig.serve(origin.accept);
    rig.setPolicy(policyOf(allow('a.example', `http: [${originPort}]`), 'limits: {bytesIn: 1KiB}\n'));
    const client = await rig.client(await rig.proxyPort());
    client.send(`GET http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    await client.ending();
    expect(client.text.length).toBeLessThan(1100);
    expect(rig.closes).toMatchObject([{ reason: 'limit-bytes' }]);
  });

  it('of a request head in size', async () => {
    const { rig, port } = await withTcpOrigin();
    await using _ = rig;
    const client = await rig.client(port);
    client.send(`GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`);
    expect(await client.all()).toMatch(/^HTTP\/1\.1 431 [\s\S]*limit-size/);
    expect(rig.decisions).toMatchObject([{ reason: 'limit-size', disposition: 'refused' }]);
  });

  it('of a request head in time', async () => {
    const { rig, port } = await withTcpOrigin({ limits: { headTimeoutMs: 50 } });
    await using _ = rig;
    const slow = await rig.client(port);
    slow.send('GET http://a.example/ HT');
    expect(await slow.all()).toMatch(/^HTTP\/1\.1 408 [\s\S]*limit-time/);
    const silent = await rig.client(port);
    expect(await silent.all()).toBe('');
    expect(rig.decisions.length).toBe(1);
  });

  it('of the time that a refused client may stay', async () => {
    const { rig, port } = await withTcpOrigin();
    await using _ = rig;
    const client = await rig.client(port);
    client.send('CONNECT c.example:443 HTTP/1.1\r\nHost: c.example:443\r\n\r\n');
    await client.until(/no-rule/);
    // The client neither ends its side nor goes away.
    await eventually(() => rig.proxy.stats().connections === 0, 'it is gone');
  });

  it('of an idle tunnel', async () => {
    const { rig, tunnel } = await withTcpOrigin({ limits: { idleTimeoutMs: 60 } });
    await using _ = rig;
    const client = await tunnel();
    expect(await client.ending()).toBe('reset');
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.closes).toMatchObject([{ reason: 'limit-time' }]);
  });

  it('of a lookup', async () => {
    const { rig, tunnel } = await withTcpOrigin({ limits: { lookupTimeoutMs: 30 } });
    await using _ = rig;
    rig.onLookup = () => new Promise(() => {});
    expect(await (await tunnel()).all()).toMatch(/^HTTP\/1\.1 504 [\s\S]*dns-failed/);
  });
});

describe('a change of policy', () => {
  it('ends what is no longer allowed, and nothing else', async () => {
    const { rig, originPort, tunnel, port } = await withTcpOrigin();
    await using _ = rig;
    const both = allow('a.example', `tcp: [${originPort}]`) + allow('b.example', `tcp: [${originPort}]`);
    rig.setPolicy(policyOf(both));
    const first = await tunnel();
    await first.until(/Established/);
    const second = await rig.client(port);
    second.send(`CONNECT b.example:${originPort} HTTP/1.1\r\nHost: b.example:${originPort}\r\n\r\n`);
    await second.until(/Established/);
    rig.setPolicy(policyOf(allow('b.example', `tcp: [${originPort}]`)));
    rig.proxy.policyChanged();
    expect(await first.ending()).toBe('reset');
    await second.send('ping').until(/pong/);
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.closes).toMatchObject([{ host: 'a.example', reason: 'policy-changed' }]);
  });
});

describe('closing', () => {
  it('ends and records everything at once, whatever it waits for, and leaves no timer', async () => {
    const { rig, origin, originPort, port, tunnel } = await withTcpOrigin();
    await using _ = rig;
    const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const open = await tunnel();
    await open.until(/Established/);
    const halfHead = await rig.client(port);
    halfHead.send('GET http');
    const looking = await rig.client(port);
    rig.onLookup = () => new Promise(() => {});
    looking.send(`CONNECT a.example:${originPort} HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    await eventually(() => rig.lookedUp.length === 2 && rig.proxy.stats().connections === 3, 'all three');
    rig.proxy.close();
    expect(rig.closes).toMatchObject([{ reason: 'shutting-down' }]);
    const recorded = rig.events.length;
    await Promise.all([open.ending(), halfHead.ending(), looking.ending()]);
    await eventually(() => origin.connections[0]?.isClosed === true, 'the upstream');
    const late = await rig.client(port);
    expect(await late.ending()).toBe('reset');
    await eventually(
      () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length <= before,
      'the last timer',
    );
    rig.proxy.close();
    expect(rig.events.length).toBe(recorded);
    expect(rig.proxy.stats()).toMatchObject({ connections: 0, open: 0 });
  });
});

describe('a fault in sand', () => {
  it('ends the one connection, is recorded, and says nothing about itself', async () => {
    const rig = new Rig({ policy: policyOf('') });
    await using _ = rig;
    const context = {
      policy: () => rig.inForce,
      lookup: async () => ({ kind: 'not-found' }) as const,
      meaning: () => {
        throw new Error('secret internals');
      },
      hostAddresses: () => [],
      isOwn: () => false,
      audit: { record: (entry: never) => rig.events.push(entry) },
      limits: PROXY_LIMITS,
    };
    const proxy = createProxy(context);
    const port = await rig.serve((socket) => proxy.acceptProxyConnection(socket));
    const client = await rig.client(port);
    client.send('CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\n\r\n');
    await client.ending();
    expect(client.text).toBe('');
    expect(rig.decisions).toMatchObject([{ reason: 'internal-error', disposition: 'refused' }]);
    expect(JSON.stringify(rig.events)).not.toContain('secret');
    proxy.close();
  });
});

describe('SOCKS5', () => {
  const request = (host: string, port: number) =>
    Buffer.concat([
      Buffer.from([5, 1, 0, 3, host.length]),
      Buffer.from(host, 'latin1'),
      Buffer.from([port >> 8, port & 255]),
    ]);

  it('opens a tunnel like any other, byte by byte too', async () => {
    const { rig, originPort, port } = await withTcpOrigin();
    await using _ = rig;
    const client = await rig.client(port);
    for (const byte of [5, 1, 0]) client.send(Buffer.from([byte]));
    await client.until(/^\x05\x00$/);
    for (const byte of request('a.example', originPort)) client.send(Buffer.from([byte]));
    await client.until(/^\x05\x00\x05\x00\x00\x01/);
    await client.send('ping').until(/pong$/);
    expect(rig.decisions).toMatchObject([
      { via: 'socks', host: 'a.example', port: originPort, protocol: 'tcp' },
    ]);
  });

  it.each([
    ['a host that no rule allows', request('c.example', 443), 2, 'no-rule'],
    ['a name that does not exist', request('x.missing.example', 443), 4, 'dns-not-found'],
    ['BIND', Buffer.from([5, 2, 0, 1, 127, 0, 0, 1, 0, 80]), 7, 'request-malformed'],
    ['a raw address', Buffer.from([5, 1, 0, 1, 203, 0, 113, 1, 0, 80]), 2, 'raw-address'],
  ])('refuses %s by its code', async (_, bytes, code, reason) => {
    const rig = new Rig({ policy: policyOf('  - allow: "*.missing.example"\n') });
    await using __ = rig;
    const client = await rig.client(await rig.proxyPort());
    client.send(Buffer.concat([Buffer.from([5, 1, 0]), bytes]));
    expect([...Buffer.from(await client.all(), 'latin1')].slice(0, 4)).toEqual([5, 0, 5, code]);
    expect(rig.decisions).toMatchObject([{ via: 'socks', reason, disposition: 'refused' }]);
  });

  it('that insists on a password, SOCKS4 and TLS to the proxy are turned away', async () => {
    const { rig, port } = await withTcpOrigin();
    await using _ = rig;
    const ask = async (bytes: Buffer) =>
      Buffer.from(await (await rig.client(port)).send(bytes).all(), 'latin1');
    expect([...(await ask(Buffer.from([5, 1, 2])))]).toEqual([5, 0xff]);
    expect([...(await ask(Buffer.from([4, 1, 0, 80, 127, 0, 0, 1, 0])))].slice(0, 2)).toEqual([0, 0x5b]);
    expect([...(await ask(helloBytes({ names: ['a.example'] })))].slice(0, 1)).toEqual([21]);
    expect(rig.decisions.map(({ disposition }) => disposition)).toEqual(['refused', 'refused', 'refused']);
  });
});

describe('any bytes on the proxy port', () => {
  it('are survived, dial nothing, and leave no connection behind', async () => {
    const { rig, origin, port } = await withTcpOrigin({
      limits: { headTimeoutMs: 40, clientHelloTimeoutMs: 40 },
    });
    await using _ = rig;
    const piece = fc.oneof(
      fc.constantFrom(
        'GET ',
        'CONNECT ',
        'http://a.example/',
        'a.example:443',
        ' HTTP/1.1\r\n',
        'Host: a.example\r\n',
        '\r\n',
        '\x05\x01\x00',
      ),
      fc.string({ unit: 'binary-ascii', maxLength: 8 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 8 }), async (pieces) => {
        const client = await rig.client(port);
        client.send(pieces.join(''));
        client.socket.end();
        await client.ending();
      }),
      { numRuns: 60 },
    );
    expect(origin.connections.length).toBe(0);
    expect(count(rig, 'close')).toBe(0);
    await eventually(() => rig.proxy.stats().connections === 0, 'all gone');
  });
});
