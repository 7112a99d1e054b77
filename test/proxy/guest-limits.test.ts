import { describe, expect, it } from 'vitest';
import { boundsOf } from '../../proxy/bounds.ts';
import { PROXY_LIMITS } from '../../proxy/limits.ts';
import { RequestRate } from '../../proxy/request-rate.ts';
import { allow, type Client, eventually, policyOf, RawOrigin, Rig, type RigOptions } from './rig.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** An origin of plain HTTP or raw bytes under a policy with `limits`; it answers once a head has come. */
async function withOrigin(limits: string, options: RigOptions = {}, protocol = 'http') {
  const rig = new Rig(options);
  const origin = new RawOrigin((socket, text) => {
    if (text.endsWith('\r\n\r\n') || text.endsWith('END')) socket.write(OK);
    // An answer that has begun, to a body that goes on.
    else if (text.endsWith('END\r\n')) socket.write(OK.replace('Length: 2', 'Length: 3'));
  });
  const originPort = await rig.serve(origin.accept);
  const policy = (some: string) => policyOf(allow('a.example', `${protocol}: [${originPort}]`), some);
  rig.setPolicy(policy(limits));
  const port = await rig.proxyPort();
  const head = (line: string, ...fields: string[]) =>
    [`${line} HTTP/1.1`, `Host: a.example:${originPort}`, ...fields, '', ''].join('\r\n');
  const url = `http://a.example:${originPort}/x`;
  const tunnel = async (): Promise<Client> => {
    const client = await rig.client(port);
    return client.send(head(`CONNECT a.example:${originPort}`));
  };
  const change = (some: string): void => {
    rig.setPolicy(policy(some));
    rig.proxy.policyChanged();
  };
  return { rig, origin, port, head, url, tunnel, change };
}

describe('a limit on bodies', () => {
  it('refuses one whose head says that it is larger, before anything is dialled', async () => {
    const { rig, origin, port, head, url } = await withOrigin('limits: {bodyBytes: 10}\n');
    await using _ = rig;
    const client = await rig.client(port);
    client.send(head(`POST ${url}`, 'Content-Length: 11', 'Expect: 100-continue'));
    const answer = await client.all();
    expect(answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*x-sand-reason: limit-body/);
    expect(answer).not.toContain('100 Continue');
    expect(origin.connections.length).toBe(0);
    expect(rig.decisions).toMatchObject([{ reason: 'limit-body', verdict: 'allow', disposition: 'refused' }]);
  });

  it('ends a chunked one at its bound; not one byte more goes upstream', async () => {
    const { rig, origin, port, head, url } = await withOrigin('limits: {bodyBytes: 10}\n');
    await using _ = rig;
    const client = await rig.client(port);
    client.send(head(`POST ${url}`, 'Transfer-Encoding: chunked'));
    client.send('a\r\n0123456789\r\n');
    await eventually(() => origin.text.includes('0123456789'), 'what is within');
    client.send('1\r\nY\r\n0\r\n\r\n');
    await client.ending();
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(origin.text).not.toContain('Y');
    expect(rig.closes).toMatchObject([{ reason: 'limit-body' }]);
    expect(rig.decisions.length).toBe(1);
  });

  it('ends a chunked one that the origin has answered before its end', async () => {
    const { rig, port, head, url } = await withOrigin('limits: {bodyBytes: 10}\n');
    await using _ = rig;
    const client = await rig.client(port);
    client.send(head(`POST ${url}`, 'Transfer-Encoding: chunked'));
    client.send('3\r\nEND\r\n');
    await client.until(/200 OK/);
    client.send(`ff\r\n${'y'.repeat(255)}\r\n`);
    await client.ending();
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.closes).toMatchObject([{ reason: 'limit-body', status: 200 }]);
  });

  it('passes one of just its size', async () => {
    const { rig, port, head, url } = await withOrigin('limits: {bodyBytes: 3}\n');
    await using _ = rig;
    const client = await rig.client(port);
    client.send(`${head(`POST ${url}`, 'Content-Length: 3')}END`);
    await client.until(/ok$/);
  });
});

describe('a limit on heads', () => {
  it('of a policy holds below and above the default', async () => {
    const { rig, port, head, url, change } = await withOrigin('limits: {headBytes: 1KiB}\n');
    await using _ = rig;
    const long = (bytes: number) => head(`GET ${url}`, `X: ${'x'.repeat(bytes)}`);
    expect(await (await rig.client(port)).send(long(1100)).all()).toMatch(/ 431 [\s\S]*limit-size/);
    change('limits: {headBytes: 40KiB}\n');
    await (await rig.client(port)).send(long(30_000)).until(/ok$/);
    expect(await (await rig.client(port)).send(long(50_000)).all()).toMatch(/ 431 [\s\S]*limit-size/);
  });

  it('that is raised by a reload never asks more of a connection than its buffer holds', async () => {
    const { rig, port, head, url, change } = await withOrigin('limits: {headBytes: 1KiB}\n');
    await using _ = rig;
    const client = await rig.client(port);
    await client.send(head(`GET ${url}`)).until(/ok$/);
    change('limits: {headBytes: 64KiB}\n');
    client.send(head(`GET ${url}`, `X: ${'x'.repeat(2_000)}`));
    expect(await client.all()).toMatch(/ 431 [\s\S]*limit-size/);
  });
});

describe.concurrent('a limit on time', () => {
  it('ends a tunnel that is idle, with one close that says so', async () => {
    const { rig, tunnel } = await withOrigin('limits: {idle: 1s}\n', {}, 'tcp');
    await using _ = rig;
    const client = await tunnel();
    await client.until(/Established/);
    expect(await client.ending()).toBe('reset');
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.closes).toMatchObject([{ reason: 'limit-time' }]);
    expect(rig.closes[0]?.detail).toContain('idle');
  });

  it('ends a tunnel that lives too long, however busy', async () => {
    const { rig, tunnel } = await withOrigin('limits: {total: 1s}\n', {}, 'tcp');
    await using _ = rig;
    const client = await tunnel();
    await client.until(/Established/);
    const busy = setInterval(() => client.send('x'), 20);
    expect(await client.ending()).toBe('reset');
    clearInterval(busy);
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.closes).toMatchObject([{ reason: 'limit-time' }]);
    expect(rig.closes[0]?.detail).toContain('open');
  });

  it('ends an exchange of plain HTTP that lives too long, and tells the guest', async () => {
    const { rig, port, head, url } = await withOrigin('limits: {total: 1s}\n');
    await using _ = rig;
    const client = await rig.client(port);
    client.send(`${head(`POST ${url}`, 'Content-Length: 100')}never more`);
    expect(await client.all()).toMatch(/^HTTP\/1\.1 408 [\s\S]*limit-time/);
    expect(rig.closes).toMatchObject([{ reason: 'limit-time' }]);
  });

  it('counts the life of a connection from its begin, over all its requests', async () => {
    const { rig, port, head, url } = await withOrigin('limits: {total: 1s}\n');
    await using _ = rig;
    const client = await rig.client(port);
    await client.send(head(`GET ${url}`)).until(/ok$/);
    // Nothing is asked any more: the connection is only kept alive.
    expect(await client.ending()).toBe('end');
  });

  it('that a reload sets holds for what is open', async () => {
    const { rig, tunnel, change } = await withOrigin('', {}, 'tcp');
    await using _ = rig;
    const client = await tunnel();
    await client.until(/Established/);
    change('limits: {idle: 1s}\n');
    expect(await client.ending()).toBe('reset');
    const other = await tunnel();
    await other.until(/Established/);
    change('limits: {total: 1s}\n');
    expect(await other.ending()).toBe('reset');
    await eventually(() => rig.closes.length === 2, 'both closes');
    expect(rig.closes).toMatchObject([{ reason: 'limit-time' }, { reason: 'limit-time' }]);
  });
});

describe('a clock', () => {
  it('leaves no timer behind', async () => {
    const { rig, tunnel } = await withOrigin('limits: {idle: 24h, total: 24h}\n', {}, 'tcp');
    await using _ = rig;
    const before = process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length;
    const client = await tunnel();
    await client.until(/Established/);
    client.socket.resetAndDestroy();
    await eventually(() => rig.closes.length === 1, 'the close');
    await eventually(
      () => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length <= before,
      'the timers gone',
    );
  });
});

describe('a limit on requests', () => {
  it('of a policy holds, with a burst of five seconds, and follows a reload', async () => {
    const { rig, port, head, url, change } = await withOrigin('limits: {requestsPerSecond: 1}\n');
    await using _ = rig;
    const client = await rig.client(port);
    for (let at = 0; at < 60 && client.ended === null; at += 1) client.send(head(`GET ${url}`));
    expect(await client.all()).toMatch(/ 429 [\s\S]*limit-requests/);
    expect(rig.decisions.filter(({ disposition }) => disposition === 'forwarded').length).toBeLessThan(20);
    change('limits: {requestsPerSecond: 10000}\n');
    await eventually(() => rig.proxy.stats().connections === 0, 'it is gone');
    const other = await rig.client(port);
    await other.send(head(`GET ${url}`)).until(/ok$|429/);
  });

  it('that is lowered takes what was saved up, and one that is raised fills faster', () => {
    const rate = new RequestRate(10, 50, 0);
    rate.adjust(1, 2);
    expect([rate.take(0), rate.take(0), rate.take(0)]).toEqual([true, true, false]);
    rate.adjust(1_000, 5_000);
    expect(rate.take(1)).toBe(true);
  });
});

describe('the bounds in force', () => {
  const limited = (text: string) => policyOf('', `limits: ${text}\n`);

  it('are what the policy states, else the default', () => {
    const bounds = boundsOf({ policy: limited('{connections: 2000, idle: 2h}'), ceilings: [] }, PROXY_LIMITS);
    expect(bounds).toMatchObject({ connections: 2000, idleMs: 7_200_000, headBytes: 16 * 1024 });
    expect(bounds.bodyBytes).toBe(Number.POSITIVE_INFINITY);
    expect(bounds.totalMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('are never more than a ceiling states', () => {
    const ceilings = [limited('{connections: 100, idle: 1m}'), limited('{total: 1h, idle: 2m}')];
    const bounds = boundsOf({ policy: limited('{connections: 2000, idle: 2h}'), ceilings }, PROXY_LIMITS);
    expect(bounds).toMatchObject({ connections: 100, idleMs: 60_000, totalMs: 3_600_000 });
  });

  it('allow a burst that goes with the rate', () => {
    const bounds = boundsOf({ policy: limited('{requestsPerSecond: 2}'), ceilings: [] }, PROXY_LIMITS);
    expect(bounds).toMatchObject({ requestsPerSecond: 2, requestBurst: 10 });
  });
});
