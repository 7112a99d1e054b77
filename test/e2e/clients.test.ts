/**
 * Real clients in a real guest, against origins that the test starts: with proxy variables, without, and with
 * a client told to use none; allowed by a rule with `addresses`, by `host.sand`, and denied.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../audit/event.ts';
import { ALLOWED, createOrigins, DENIED, type Origins } from './origins.ts';
import { CALLERS, createWorld, type RunOutput, type World } from './sand.ts';

const NO_PROXY_SETTINGS =
  'unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NODE_USE_ENV_PROXY;';

let origins: Origins;

beforeAll(async () => {
  origins = await createOrigins();
});
afterAll(() => origins.close());

function policy(): string {
  return `version: 1
name: clients
rules:
  - allow: ${ALLOWED}
    http: [${origins.httpPort}]
    https: [${origins.httpsPort}]
    addresses: [127.0.0.0/8]
  - allow: raw.origin.test
    tcp: [${origins.tcpPort}]
    addresses: [127.0.0.0/8]
  - allow: host.sand
    tcp: [${origins.tcpPort}]
    http: [${origins.httpPort}]
  - deny: ${DENIED}
    because: the tests say so
`;
}

describe.each(CALLERS)('clients in a guest of the %s', (who) => {
  let world: World;

  beforeAll(() => {
    world = createWorld(who);
    world.file('p.yaml', policy());
  });
  afterAll(() => world.remove());

  const inGuest = (script: string): Promise<RunOutput> =>
    world.sand([
      'run',
      '--policy',
      './p.yaml',
      '--dns-upstream',
      `127.0.0.1:${origins.dnsPort}`,
      '--mount',
      '.',
      '--mount',
      `${origins.authority}:/certificates/ca.pem:ro`,
      '--env',
      'CURL_CA_BUNDLE=/certificates/ca.pem',
      '--env',
      'NODE_EXTRA_CA_CERTS=/certificates/ca.pem',
      '--env',
      'SSL_CERT_FILE=/certificates/ca.pem',
      '--env',
      'GIT_SSL_CAINFO=/certificates/ca.pem',
      '--',
      'sh',
      '-c',
      script,
    ]);
  const connections = async (): Promise<readonly Extract<AuditEvent, { kind: 'connection' }>[]> =>
    (await world.events()).filter((event) => event.kind === 'connection');

  const url = (scheme: 'http' | 'https', host = ALLOWED) =>
    `${scheme}://${host}:${scheme === 'http' ? origins.httpPort : origins.httpsPort}/page`;

  describe.each([
    ['proxy variables', '', '', 'forward', 'connect'],
    ['no proxy variables', NO_PROXY_SETTINGS, '', 'transparent', 'transparent'],
    ['--noproxy', '', "--noproxy '*'", 'transparent', 'transparent'],
  ])('curl with %s', (_, settings, flags, viaHttp, viaHttps) => {
    it('reaches an allowed origin over HTTP and HTTPS, each with its record', async () => {
      const run = await inGuest(
        `${settings} curl -sS ${flags} ${url('http')} && curl -sS ${flags} ${url('https')}`,
      );
      expect(run).toMatchObject({ code: 0, stderr: '' });
      expect(run.stdout).toBe(`hello from ${ALLOWED}:${origins.httpPort}\nsecret hello of /page\n`);
      const [http, https] = await connections();
      expect(http).toMatchObject({
        via: viaHttp,
        host: ALLOWED,
        protocol: 'http',
        method: 'GET',
        path: '/page',
        verdict: 'allow',
        disposition: 'forwarded',
        rule: { file: expect.stringContaining('p.yaml'), line: 4 },
      });
      expect(https).toMatchObject({
        via: viaHttps,
        host: ALLOWED,
        protocol: 'https',
        sni: ALLOWED,
        verdict: 'allow',
        rule: { line: 4 },
      });
    });

    it('is refused a denied origin at once, and told why', async () => {
      const before = origins.requests.length;
      const run = await inGuest(
        `${settings} curl -sS ${flags} ${url('http', DENIED)}; curl -sS ${flags} ${url('https', DENIED)}`,
      );
      expect(run.code).not.toBe(0);
      expect(run.stderr).toContain(`${DENIED}`);
      expect(origins.requests.length).toBe(before);
      expect(origins.asked).not.toContain(DENIED);
      const refusals = (await world.events()).filter(
        (event) => 'disposition' in event && event.disposition === 'refused',
      );
      expect(refusals.length).toBeGreaterThan(0);
      for (const refusal of refusals) {
        expect(refusal).toMatchObject({
          verdict: 'deny',
          reason: 'deny-rule',
          rule: { file: expect.stringContaining('p.yaml'), line: 14, because: 'the tests say so' },
        });
      }
    });
  });

  it('serves node fetch, python and git with and without proxy variables', async () => {
    const program = (settings: string) =>
      [
        `${settings} node -e 'fetch(process.argv[1]).then(r=>r.text()).then(t=>console.log("node", t.trim()))' ${url('https')}`,
        `${settings} python3 -c 'import sys,urllib.request as u; print("python", u.urlopen(sys.argv[1]).read().decode().strip())' ${url('https')}`,
        `${settings} git ls-remote ${url('https')} 2>&1 | sed 's/^/git /'`,
      ].join('; ');
    const run = await inGuest(`${program('')}; (${program(NO_PROXY_SETTINGS)})`);
    const lines = run.stdout.split('\n');
    expect(lines.filter((line) => line === 'node secret hello of /page')).toHaveLength(2);
    expect(lines.filter((line) => line === 'python secret hello of /page')).toHaveLength(2);
    expect(origins.requests).toContain(
      `GET ${ALLOWED}:${origins.httpsPort} /page/info/refs?service=git-upload-pack`,
    );
  });

  it('splices raw TCP to a name that a tcp rule allows, and to a service of the host', async () => {
    const say = (host: string) =>
      `python3 -c 'import socket,sys; s=socket.create_connection((sys.argv[1],${origins.tcpPort}),5); s.sendall(b"hi"); print(s.recv(99).decode())' ${host}`;
    const run = await inGuest(`${say('raw.origin.test')}; ${say('host.sand')}`);
    expect(run.stdout).toBe('echo hi\necho hi\n');
    expect(await connections()).toMatchObject([
      { via: 'transparent', host: 'raw.origin.test', protocol: 'tcp', verdict: 'allow' },
      { via: 'transparent', host: 'host.sand', protocol: 'tcp', verdict: 'allow', address: '127.0.0.1' },
    ]);
  });

  it('reaches the host’s HTTP service by host.sand through the proxy', async () => {
    const run = await inGuest(`curl -sS http://host.sand:${origins.httpPort}/x`);
    expect(run.stdout).toBe(`hello from host.sand:${origins.httpPort}\n`);
  });

  it('refuses a raw TCP client an address, a port and a name that no rule lists, each recorded', async () => {
    const attempt = (host: string, port: number) =>
      `python3 -c 'import socket,sys; s=socket.create_connection(("${host}",${port}),5); print(len(s.recv(9)))' 2>&1 | tail -1`;
    const run = await inGuest(
      [attempt('203.0.113.9', 443), attempt('203.0.113.9', 22), attempt('unknown.origin.test', 80)].join(
        '; ',
      ),
    );
    expect(run.stdout).not.toMatch(/^[1-9]/m);
    const refused = (await world.events()).filter(
      (event) => 'disposition' in event && event.disposition === 'refused',
    );
    expect(refused).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          kind: 'connection',
          host: '203.0.113.9',
          port: 443,
          reason: 'raw-address',
        }),
        expect.objectContaining({
          kind: 'unplanted',
          host: '203.0.113.9',
          port: 22,
          reason: 'port-not-planted',
        }),
        expect.objectContaining({ kind: 'dns', name: 'unknown.origin.test', reason: 'no-rule' }),
      ]),
    );
  });

  it('leaves every port to the guest’s own servers, the planted ones included', async () => {
    const serve = (port: number) => `
import http.server, threading, urllib.request, sys
for port in (80, 443, ${port}, 3128, 5432, 53):
  server = http.server.HTTPServer(("0.0.0.0", port), http.server.SimpleHTTPRequestHandler)
  threading.Thread(target=server.handle_request, daemon=True).start()
  opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
  print(port, opener.open("http://127.0.0.1:%d/" % port).status)
`;
    world.file('serve.py', serve(origins.httpPort));
    const run = await inGuest('python3 serve.py 2>/dev/null');
    expect(run.stdout.trim().split('\n')).toEqual(
      [80, 443, origins.httpPort, 3128, 5432, 53].map((port) => `${port} 200`),
    );
  });

  it('says at the end what was denied, why, and the line that would allow it', async () => {
    const run = await inGuest('curl -sS https://other.example/ >/dev/null 2>&1');
    expect(run.stderr).toContain('other.example:443');
    expect(run.stderr).toContain('no rule allows this host');
    expect(run.stderr).toContain('- allow: other.example');
  });
});
