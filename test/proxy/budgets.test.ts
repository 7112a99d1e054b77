import { describe, expect, it } from 'vitest';
import { allow, eventually, policyOf, RawOrigin, Rig } from './rig.ts';

/** Two names at one raw origin; `rules` gets its port. */
async function withTwoNames(rules: (port: number) => string) {
  const rig = new Rig();
  const origin = new RawOrigin();
  const originPort = await rig.serve(origin.accept);
  rig.setPolicy(policyOf(rules(originPort)));
  const port = await rig.proxyPort();
  const tunnel = async (name: string) => {
    const client = await rig.client(port);
    return client.send(`CONNECT ${name}:${originPort} HTTP/1.1\r\nHost: ${name}:${originPort}\r\n\r\n`);
  };
  const change = (next: string): void => {
    rig.setPolicy(policyOf(next));
    rig.proxy.policyChanged();
  };
  return { rig, origin, originPort, tunnel, change };
}

const limited = (host: string, port: number, limits: string): string =>
  `${allow(host, `tcp: [${port}]`)}    limits: ${limits}\n`;

describe('limits of a rule', () => {
  it('of bytes hold for all that it covers together, and for nothing else', async () => {
    const { rig, origin, tunnel } = await withTwoNames(
      (port) => limited('*.a.example', port, '{bytesOut: 10}') + allow('b.example', `tcp: [${port}]`),
    );
    await using _ = rig;
    const first = await tunnel('x.a.example');
    await first.until(/Established/);
    first.send('123456');
    await eventually(() => origin.text.length === 6, 'what is within');
    const second = await tunnel('y.a.example');
    await second.until(/Established/);
    second.send('abcde');
    expect(await second.ending()).toBe('reset');
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.closes).toMatchObject([{ host: 'y.a.example', reason: 'limit-bytes', bytesOut: 0 }]);
    first.send('7890');
    await eventually(() => origin.text.length === 10, 'the last bytes');
    const third = await (await tunnel('z.a.example')).all();
    expect(third).toMatch(/ 403 [\s\S]*limit-bytes[\s\S]*x-sand-rule: test\/allow:\*\.a\.example/);
    const other = await tunnel('b.example');
    await other.until(/Established/);
    other.send('any number of bytes');
    await eventually(() => origin.text.endsWith('bytes'), 'another rule');
  });

  it('of connections hold for those that are open', async () => {
    const { rig, tunnel } = await withTwoNames((port) => limited('*.a.example', port, '{connections: 1}'));
    await using _ = rig;
    const first = await tunnel('x.a.example');
    await first.until(/Established/);
    expect(await (await tunnel('y.a.example')).all()).toMatch(/ 503 [\s\S]*limit-connections/);
    expect(rig.decisions.at(-1)).toMatchObject({
      reason: 'limit-connections',
      disposition: 'refused',
      rule: { id: 'test/allow:*.a.example' },
    });
    first.socket.resetAndDestroy();
    await eventually(() => rig.closes.length === 1, 'a free place');
    await (await tunnel('y.a.example')).until(/Established/);
  });

  it('are not outvoted by a wider rule without them', async () => {
    const { rig, origin, tunnel } = await withTwoNames(
      (port) => allow('**.a.example', `tcp: [${port}]`) + limited('x.a.example', port, '{bytesOut: 4}'),
    );
    await using _ = rig;
    const client = await tunnel('x.a.example');
    await client.until(/Established/);
    client.send('12345');
    expect(await client.ending()).toBe('reset');
    expect(origin.text).toBe('');
  });

  it('of a ceiling hold too', async () => {
    const { rig, originPort, tunnel } = await withTwoNames((port) => allow('a.example', `tcp: [${port}]`));
    await using _ = rig;
    rig.inForce = {
      ...rig.inForce,
      ceilings: [policyOf(limited('a.example', originPort, '{bytesOut: 4}'))],
    };
    const client = await tunnel('a.example');
    await client.until(/Established/);
    client.send('12345');
    expect(await client.ending()).toBe('reset');
  });

  it('that a reload changes count what was used before, also of what is open', async () => {
    const { rig, origin, originPort, tunnel, change } = await withTwoNames((port) =>
      limited('a.example', port, '{bytesOut: 100}'),
    );
    await using _ = rig;
    const client = await tunnel('a.example');
    await client.until(/Established/);
    client.send('123456');
    await eventually(() => origin.text.length === 6, 'what is within');
    change(limited('a.example', originPort, '{bytesOut: 8, connections: 1}'));
    expect(await (await tunnel('a.example')).all()).toMatch(/ 503 [\s\S]*limit-connections/);
    client.send('789');
    expect(await client.ending()).toBe('reset');
    expect(origin.text).toBe('123456');
  });
});

describe('a deny rule that only reports', () => {
  it('lets pass, and the record names it', async () => {
    const { rig, tunnel } = await withTwoNames(
      (port) =>
        `${allow('**.example', `tcp: [${port}]`)}  - {deny: b.example, report: true, because: trial}\n`,
    );
    await using _ = rig;
    await (await tunnel('b.example')).until(/Established/);
    await (await tunnel('a.example')).until(/Established/);
    expect(rig.decisions).toMatchObject([
      { reason: 'would-be-denied', verdict: 'allow', rule: { id: 'test/deny:b.example', because: 'trial' } },
      { reason: 'allowed-by-rule', rule: { id: 'test/allow:**.example' } },
    ]);
  });

  it('of addresses is recorded where one of several addresses is covered', async () => {
    const { rig, tunnel } = await withTwoNames(
      (port) => `${allow('a.example', `tcp: [${port}]`)}  - {deny: 127.0.0.0/8, report: true}\n`,
    );
    await using _ = rig;
    await (await tunnel('a.example')).until(/Established/);
    expect(rig.decisions).toMatchObject([
      { reason: 'would-be-denied', disposition: 'forwarded', rule: { id: 'test/deny:127.0.0.0/8' } },
    ]);
  });
});
