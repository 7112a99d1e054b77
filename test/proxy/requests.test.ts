import { describe, expect, it } from 'vitest';
import { allow, eventually, policyOf, RawOrigin, Rig } from './rig.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** An origin whose rules are for certain requests; `keys` are more lines of the rule. */
async function withRule(keys: string, more: (port: number) => string = () => '') {
  const rig = new Rig({ meanings: {} });
  const origin = new RawOrigin((socket, text) => {
    if (text.endsWith('\r\n\r\n')) socket.write(OK);
  });
  const originPort = await rig.serve(origin.accept);
  const rules = (some: string) =>
    policyOf(`${allow('a.example', `http: [${originPort}]`)}${some}${more(originPort)}`);
  rig.setPolicy(rules(keys));
  const authority = `a.example:${originPort}`;
  const origined = (line: string) => `${line} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
  const proxied = (method: string, path: string) => origined(`${method} http://${authority}${path}`);
  const change = (some: string): void => {
    rig.setPolicy(rules(some));
    rig.proxy.policyChanged();
  };
  return { rig, origin, originPort, authority, proxied, origined, change, port: await rig.proxyPort() };
}

const READ_V1 = '    methods: [GET]\n    paths: [/v1/**]\n';

describe('a rule for certain requests', () => {
  it('is asked for each request of a connection', async () => {
    const { rig, origin, proxied, port } = await withRule(READ_V1);
    await using _ = rig;
    const client = await rig.client(port);
    await client.send(proxied('GET', '/v1/a?q=1')).until(/ok$/);
    await client.send(proxied('GET', '/v2')).until(/x-sand-reason: path-not-allowed/);
    await client.send(proxied('DELETE', '/v1/a')).until(/x-sand-reason: method-not-allowed/);
    await client.send(proxied('GET', '/v1/b')).until(/ok$/);
    expect(origin.text.match(/^[A-Z]+ .*/gm)).toEqual(['GET /v1/a?q=1 HTTP/1.1', 'GET /v1/b HTTP/1.1']);
    expect(rig.decisions.map(({ reason }) => reason)).toEqual([
      'allowed-by-rule',
      'path-not-allowed',
      'method-not-allowed',
      'allowed-by-rule',
    ]);
  });

  it('is named by the refusal that it nearly turned, with what would turn it', async () => {
    const { rig, originPort, proxied, port } = await withRule(READ_V1);
    await using _ = rig;
    const client = await rig.client(port);
    const answer = await client.send(proxied('GET', '/v2/x')).until(/explain: .*\n/);
    expect(answer).toMatch(/^HTTP\/1\.1 403 [\s\S]*x-sand-rule: test\/allow:a\.example/);
    expect(answer).toContain('sand.policy.yaml:4');
    expect(answer).toContain(`explain: sand why a.example:${originPort} GET /v2/x\n`);
    expect(rig.decisions).toMatchObject([
      {
        reason: 'path-not-allowed',
        method: 'GET',
        path: '/v2/x',
        rule: { id: 'test/allow:a.example' },
        suggestion: `- {allow: a.example, http: [${originPort}], methods: [GET], paths: ["/v2/x"]}`,
      },
    ]);
  });

  it.each(['/v1/..%2fadmin', '/v1//x', '/v1/%252e%252e/admin', '/v1/..;/admin', '/v1/%00'])(
    'never holds for %s, which can be read in two ways, and says so',
    async (path) => {
      const { rig, origin, proxied, port } = await withRule(READ_V1);
      await using _ = rig;
      const client = await rig.client(port);
      const answer = await client.send(proxied('GET', path)).until(/explain: .*\n/);
      expect(answer).toMatch(/path-not-allowed[\s\S]*detail: the path /);
      expect(origin.connections.length).toBe(0);
    },
  );

  it('sends the very path that was judged where the path decides', async () => {
    const { rig, origin, proxied, port } = await withRule(READ_V1);
    await using _ = rig;
    const client = await rig.client(port);
    await client.send(proxied('GET', '/admin/%2e%2e/v1/./%61/../b?x=/../y')).until(/ok$/);
    expect(origin.text).toMatch(/^GET \/v1\/b\?x=\/\.\.\/y HTTP/);
  });

  it('leaves a path as it is where another rule allows every path', async () => {
    const { rig, origin, proxied, port } = await withRule(READ_V1, (at) =>
      allow('*.example', `http: [${at}]`),
    );
    await using _ = rig;
    const client = await rig.client(port);
    await client.send(proxied('GET', '/x/../v1//b')).until(/ok$/);
    expect(origin.text).toMatch(/^GET \/x\/\.\.\/v1\/\/b HTTP/);
  });

  it('is asked for each request inside a tunnel', async () => {
    const { rig, origin, authority, origined, port } = await withRule(READ_V1);
    await using _ = rig;
    const client = await rig.client(port);
    await client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`).until(/Established/);
    await client.send(origined('GET /v1/a')).until(/ok$/);
    await client.send(origined('GET /v2')).until(/path-not-allowed/);
    await client.send(origined('PUT /v1/a')).until(/method-not-allowed/);
    expect(origin.text.match(/^[A-Z]+ .*/gm)).toEqual(['GET /v1/a HTTP/1.1']);
  });

  it('is asked for each request of a stream', async () => {
    const { rig, originPort, origined } = await withRule(READ_V1);
    await using _ = rig;
    const parsed = policyOf(
      `${allow('127.0.0.1', `http: [${originPort}]`).replace(/ {4}addresses.*\n/, '')}${READ_V1}`,
    );
    rig.setPolicy(parsed);
    const client = await rig.client(await rig.streamPort('127.0.0.1', originPort));
    const asked = (line: string) => origined(line).replace('a.example', '127.0.0.1');
    await client.send(asked('GET /v1/a')).until(/ok$/);
    await client.send(asked('GET /')).until(/path-not-allowed/);
  });

  it('opens no TLS and no raw bytes on its port', async () => {
    const { rig, authority, port, origin } = await withRule(READ_V1);
    await using _ = rig;
    const client = await rig.client(port);
    await client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`).until(/Established/);
    client.send(Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]));
    await client.ending();
    await eventually(() => rig.decisions.length === 1, 'the record');
    expect(rig.decisions).toMatchObject([{ disposition: 'refused', reason: 'protocol-not-allowed' }]);
    expect(origin.connections.length).toBe(0);
  });

  it('that a reload narrows ends the request that is open, and no other', async () => {
    const { rig, origin, proxied, port, change } = await withRule('    paths: [/v1, /v2]\n');
    await using _ = rig;
    const open = (path: string) => proxied('POST', path).replace('\r\n\r\n', '\r\nContent-Length: 9\r\n\r\n');
    const first = (await rig.client(port)).send(open('/v1'));
    const second = (await rig.client(port)).send(open('/v2'));
    await eventually(() => origin.connections.length === 2, 'both');
    change('    paths: [/v2]\n');
    await first.until(/policy-changed/);
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(second.ended).toBe(null);
    expect(rig.closes).toMatchObject([{ reason: 'policy-changed' }]);
  });

  it('in report mode is no way around the address guard', async () => {
    const { rig, originPort, proxied, port } = await withRule(READ_V1);
    await using _ = rig;
    rig.setPolicy(policyOf(`${allow('a.example', `http: [${originPort}]`)}${READ_V1}`, 'mode: report\n'));
    const client = await rig.client(port);
    await client.send(proxied('POST', '/v2')).until(/HTTP\/1\.1 \d+/);
    expect(rig.decisions).toMatchObject([{ verdict: 'deny', reason: 'address-guarded' }]);
  });
});
