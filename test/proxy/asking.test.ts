import { createServer as createHttpServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { type Asked, createConsent, type HeldRequest } from '../../policies/consent.ts';
import type { Rule } from '../../policies/model.ts';
import { allow, eventually, policyOf, RawOrigin, Rig, type RigOptions } from './rig.ts';

/** The rule that a yes would be, but for the loopback, where the origins of tests are. */
function consented(host: string, ports: string): Asked {
  const [rule] = policyOf(allow(host, ports)).rules as [Rule];
  return { kind: 'consent', consent: createConsent({ ...rule, id: 'ask/allow' }) };
}

/** Answers when it is told to. */
function asking() {
  const asked: HeldRequest[] = [];
  const answers: ((answer: Asked) => void)[] = [];
  return {
    asked,
    ask: (request: HeldRequest) => {
      asked.push(request);
      return new Promise<Asked>((resolve) => answers.push(resolve));
    },
    async answer(answer: Asked) {
      await eventually(() => answers.length > 0, 'a question');
      answers.shift()?.(answer);
    },
  };
}

const NO: Asked = { kind: 'refused', detail: 'asked: deny, by terminal' };

async function withOrigin(person: ReturnType<typeof asking>, options: RigOptions = {}) {
  const rig = new Rig({ ...options, ask: person.ask });
  const raw = new RawOrigin((socket, text) => {
    if (text.endsWith('ping')) socket.write('pong');
  });
  const rawPort = await rig.serve(raw.accept);
  const webPort = await rig.adopt(
    createHttpServer((request, response) => response.end(`hello ${request.url}`)),
  );
  const port = await rig.proxyPort();
  const connect = async (to: number) => {
    const client = await rig.client(port);
    return client.send(`CONNECT a.example:${to} HTTP/1.1\r\nHost: a.example:${to}\r\n\r\n`);
  };
  return { rig, raw, rawPort, webPort, port, connect };
}

describe('a tunnel that no rule decides', () => {
  it('is held, nothing dialled or looked up, and goes on by a yes under the rule of that yes', async () => {
    const person = asking();
    const { rig, raw, rawPort, connect } = await withOrigin(person);
    await using _ = rig;
    const client = await connect(rawPort);
    await eventually(() => person.asked.length === 1, 'a question');
    expect([rig.lookedUp, rig.events, raw.connections, client.text]).toEqual([[], [], [], '']);
    expect(person.asked).toMatchObject([{ host: { name: 'a.example' }, port: rawPort, protocol: null }]);
    await person.answer(consented('a.example', `tcp: [${rawPort}]`));
    await client.until(/200/);
    await client.send('ping').until(/pong/);
    expect(rig.decisions).toMatchObject([{ disposition: 'forwarded', rule: { id: 'ask/allow' } }]);
    // A policy that says nothing of it leaves it be; one that denies it ends it.
    rig.setPolicy(policyOf('  - allow: other.example\n'));
    rig.proxy.policyChanged();
    await client.send('ping').until(/pong[\s\S]*pong/);
    rig.setPolicy(policyOf('  - deny: a.example\n'));
    rig.proxy.policyChanged();
    await client.all();
    expect(rig.closes).toMatchObject([{ reason: 'policy-changed' }]);
  });

  it('is refused by a no with the reason of the policy, and the record says that it was asked', async () => {
    const person = asking();
    const { rig, rawPort, connect } = await withOrigin(person);
    await using _ = rig;
    const client = await connect(rawPort);
    await person.answer(NO);
    expect(await client.all()).toMatch(/403 [\s\S]*x-sand-reason: no-rule/);
    expect(client.text).not.toContain('asked');
    expect(rig.decisions).toMatchObject([{ reason: 'no-rule', detail: 'asked: deny, by terminal' }]);
  });

  it('is judged anew after the wait: a deny rule beats the yes, an allow rule makes it needless', async () => {
    const person = asking();
    const { rig, rawPort, connect } = await withOrigin(person);
    await using _ = rig;
    const denied = await connect(rawPort);
    await eventually(() => person.asked.length === 1, 'a question');
    rig.setPolicy(policyOf('  - deny: a.example\n'));
    await person.answer(consented('a.example', `tcp: [${rawPort}]`));
    expect(await denied.all()).toMatch(/x-sand-reason: deny-rule/);
    rig.setPolicy(policyOf(''));
    const allowed = await connect(rawPort);
    await eventually(() => person.asked.length === 2, 'a question');
    rig.setPolicy(policyOf(allow('a.example', `tcp: [${rawPort}]`)));
    await person.answer(NO);
    await allowed.until(/200/);
  });

  it('that somebody said yes to is dialled at no guarded address', async () => {
    const person = asking();
    const { rig, connect } = await withOrigin(person);
    await using _ = rig;
    const client = await connect(443);
    const [rule] = policyOf('  - allow: a.example\n').rules as [Rule];
    await person.answer({ kind: 'consent', consent: createConsent(rule) });
    expect(await client.all()).toMatch(/x-sand-reason: address-guarded/);
  });

  it('holds up no other connection', async () => {
    const person = asking();
    const { rig, rawPort, connect } = await withOrigin(person, {});
    await using _ = rig;
    await connect(rawPort);
    await eventually(() => person.asked.length === 1, 'a question');
    rig.setPolicy(policyOf(allow('a.example', `tcp: [${rawPort}]`)));
    await (await connect(rawPort)).until(/200/);
  });
});

describe('plain HTTP that no rule decides', () => {
  const get = (to: string, path: string) =>
    `GET ${to}${path} HTTP/1.1\r\nHost: ${to.replace('http://', '') || 'a.example'}\r\n\r\n`;

  it('through the proxy is asked about request by request', async () => {
    const person = asking();
    const { rig, webPort, port } = await withOrigin(person);
    await using _ = rig;
    const client = await rig.client(port);
    client.send(get(`http://a.example:${webPort}`, '/one'));
    await person.answer(consented('a.example', `http: [${webPort}]`));
    await client.until(/hello \/one/);
    client.send(get(`http://a.example:${webPort}`, '/two'));
    await person.answer(NO);
    await client.until(/no-rule/);
    expect(person.asked).toMatchObject([{ protocol: 'http' }, { protocol: 'http' }]);
  });

  it.each([
    ['yes', /hello \/one[\s\S]*hello \/two/],
    ['no', /no-rule[\s\S]*no-rule/],
  ])('in a stream is asked about once for the stream: %s', async (said, shown) => {
    const person = asking();
    const { rig, webPort } = await withOrigin(person, {
      meanings: { '198.18.0.9': { kind: 'name', name: 'a.example' as never } },
    });
    await using _ = rig;
    const client = await rig.client(await rig.streamPort('198.18.0.9', webPort));
    const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a.example:${webPort}\r\n\r\n`;
    client.send(request('/one'));
    await person.answer(said === 'yes' ? consented('a.example', `http: [${webPort}]`) : NO);
    await client.until(said === 'yes' ? /hello \/one/ : /no-rule/);
    client.send(request('/two'));
    await client.until(shown);
    expect(person.asked).toHaveLength(1);
  });
});
