import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Bursts } from '../../proxy/bursts.ts';
import { PROXY_BOUNDS } from '../../proxy/limits.ts';
import { RequestRate } from '../../proxy/request-rate.ts';
import { helloBytes } from './hello-bytes.ts';
import { allow, eventually, policyOf, RawOrigin, Rig } from './rig.ts';

describe('a request rate', () => {
  it('admits a burst, then what comes back in time, and never more than a burst', () => {
    const rate = new RequestRate(10, 3, 0);
    const take = (nowMs: number) => rate.take(nowMs);
    expect([0, 0, 0, 0].map(take)).toEqual([true, true, true, false]);
    expect([99, 100, 100].map(take)).toEqual([false, true, false]);
    expect([60_000, 60_000, 60_000, 60_000].map(take)).toEqual([true, true, true, false]);
  });

  it('gives nothing for a clock that runs backwards', () => {
    const rate = new RequestRate(10, 1, 1_000);
    expect([rate.take(1_000), rate.take(0), rate.take(50)]).toEqual([true, false, false]);
  });
});

describe('bursts', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('are told by their first refusal, then by number each interval, and are over after a quiet one', () => {
    const told: [string, number][] = [];
    const bursts = new Bursts((reason, count) => told.push([reason, count]));
    expect(bursts.begins('limit-requests')).toBe(true);
    for (let i = 0; i < 5000; i += 1) expect(bursts.begins('limit-requests')).toBe(false);
    expect(bursts.begins('limit-connections')).toBe(true);
    vi.advanceTimersByTime(PROXY_BOUNDS.burstMs);
    expect(told).toEqual([['limit-requests', 5000]]);
    expect(bursts.begins('limit-requests')).toBe(false);
    vi.advanceTimersByTime(PROXY_BOUNDS.burstMs);
    expect(told).toEqual([
      ['limit-requests', 5000],
      ['limit-requests', 1],
    ]);
    vi.advanceTimersByTime(PROXY_BOUNDS.burstMs);
    expect(vi.getTimerCount()).toBe(0);
    expect(bursts.begins('limit-requests')).toBe(true);
    bursts.begins('limit-requests');
    bursts.end();
    expect(told.length).toBe(3);
    expect(vi.getTimerCount()).toBe(0);
  });
});

/** A guest that may ask three times and then not again for hours. */
async function withFew() {
  const rig = new Rig({ limits: { requestsPerSecond: 0.000_1, requestBurst: 3 } });
  const origin = new RawOrigin((socket, text) => {
    if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const originPort = await rig.serve(origin.accept);
  const ports = `http: [${originPort}]\n    https: [443]\n    tcp: [22]`;
  rig.setPolicy(policyOf(allow('a.example', ports)));
  const port = await rig.proxyPort();
  const spend = async () => {
    for (let i = 0; i < 3; i += 1) {
      const client = await rig.client(port);
      client.send('CONNECT c.example:22 HTTP/1.1\r\nHost: c.example:22\r\n\r\n');
      await client.all();
    }
  };
  return { rig, origin, originPort, port, spend };
}

describe('a guest that asks too often', () => {
  it('is refused for every way to ask, with one record for all', async () => {
    const { rig, originPort, port, spend } = await withFew();
    await using _ = rig;
    await spend();
    const asks: [string | Buffer, RegExp][] = [
      [
        `GET http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`,
        /^HTTP\/1\.1 429 /,
      ],
      [
        'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n',
        /^HTTP\/1\.1 429 [\s\S]*limit-requests/,
      ],
      ['CONNECT a.example HTTP/1.1\r\nHost: a.example\r\n\r\n', /^HTTP\/1\.1 429 /],
      ['GET nonsense\r\n\r\n', /^HTTP\/1\.1 429 /],
      [Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 22]), /^\x05\x00\x05\x01/],
      [Buffer.from([5, 1, 0, 5, 2, 0, 1, 127, 0, 0, 1, 0, 22]), /^\x05\x00\x05\x07/],
      [Buffer.from([4, 1, 0, 22]), /^\x00\x5b/],
    ];
    for (const [bytes, answer] of asks)
      expect(await (await rig.client(port)).send(bytes).all()).toMatch(answer);
    const stream = await rig.client(await rig.streamPort('127.0.0.1', 443));
    stream.send(helloBytes({ names: ['a.example'] }));
    expect(await stream.ending()).toBe('reset');
    const over = () => rig.decisions.filter(({ reason }) => reason === 'limit-requests');
    expect(over()).toMatchObject([{ method: 'GET', disposition: 'refused', verdict: 'deny' }]);
    expect(rig.lookedUp).toEqual([]);
    expect(rig.proxy.stats().refused).toBe(3 + asks.length + 1);
    rig.proxy.close();
    expect(over().at(-1)).toMatchObject({ detail: `${asks.length} more, refused since the last record` });
    expect(rig.decisions.length).toBe(5);
  });

  it('is refused for requests on a connection that is open already', async () => {
    const { rig, origin, originPort, port } = await withFew();
    await using _ = rig;
    const client = await rig.client(port);
    const get = `GET http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`;
    for (let i = 0; i < 3; i += 1) {
      const before = client.text.length;
      client.send(get);
      await eventually(() => client.text.length > before && client.text.endsWith('ok'), 'an answer');
    }
    client.send(get.repeat(50));
    expect(await client.all()).toMatch(/429 Too Many Requests \(sand: limit-requests\)\r\n/);
    expect(origin.text.match(/GET /g)?.length).toBe(3);
    expect(rig.decisions.length).toBe(4);
  });

  it('pays once for a tunnel and its first request, and for each request after it', async () => {
    const { rig, originPort, port } = await withFew();
    await using _ = rig;
    const client = await rig.client(port);
    client.send(`CONNECT a.example:${originPort} HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    await client.until(/Established\r\n\r\n/);
    const get = `GET / HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`;
    for (let i = 0; i < 3; i += 1) {
      const before = client.text.length;
      client.send(get);
      await eventually(() => client.text.length > before && client.text.endsWith('ok'), 'an answer');
    }
    expect(await client.send(get).all()).toMatch(/429 /);
  });

  it('leaves one line for a flood of connections over its limit', async () => {
    const rig = new Rig({ limits: { connections: 0 } });
    await using _ = rig;
    const port = await rig.proxyPort();
    for (let i = 0; i < 20; i += 1) await (await rig.client(port)).all();
    expect(rig.decisions).toMatchObject([{ reason: 'limit-connections' }]);
    rig.proxy.close();
    expect(rig.decisions.length).toBe(2);
  });
});
