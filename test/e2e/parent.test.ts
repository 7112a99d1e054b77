/** A guest behind the proxy that its host needs: names are handed over, credentials stay outside, denials ask nobody. */
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ALLOWED, createOrigins, DENIED, type Origins } from './origins.ts';
import { createWorld, type World } from './sand.ts';

/** A name that only the parent can resolve. */
const INSIDE = 'inside.corp.test';
const CREDENTIALS = 'user:parent-secret';

interface Parent {
  readonly port: number;
  /** `METHOD target` of what it was asked. */
  readonly asked: string[];
  /** What it was shown as credentials. */
  readonly shown: Set<string>;
  close(): void;
}

/** A company's proxy: wants credentials, knows every name, and reaches the origins of the test. */
async function createParent(origins: Origins): Promise<Parent> {
  const asked: string[] = [];
  const shown = new Set<string>();
  const note = ({ method, url, headers }: IncomingMessage): boolean => {
    asked.push(`${method} ${url}`);
    shown.add(headers['proxy-authorization'] ?? 'nothing');
    return headers['proxy-authorization'] === `Basic ${Buffer.from(CREDENTIALS).toString('base64')}`;
  };
  const server = createServer((request, response) => {
    if (!note(request)) return void response.writeHead(407).end();
    const { host, pathname } = new URL(request.url ?? '');
    const onward = httpRequest({
      host: '127.0.0.1',
      port: origins.httpPort,
      path: pathname,
      headers: { host },
    });
    onward.on('response', (answer) => answer.pipe(response.writeHead(answer.statusCode ?? 0)));
    onward.on('error', () => response.destroy());
    onward.end();
  });
  server.on('connect', (request: IncomingMessage, socket) => {
    socket.on('error', () => {});
    if (!note(request)) return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    const onward = connect({ host: '127.0.0.1', port: origins.httpsPort }, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    onward.on('error', () => socket.destroy());
    onward.on('close', () => socket.destroy());
  });
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    shown,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

let origins: Origins;
let parent: Parent;
let world: World;

beforeAll(async () => {
  origins = await createOrigins();
  parent = await createParent(origins);
  world = createWorld();
  world.file(
    'p.yaml',
    `version: 1
name: behind-a-proxy
rules:
  - allow: [${INSIDE}, ${ALLOWED}]
    http: [80, ${origins.httpPort}]
    https: [443, ${origins.httpsPort}]
`,
  );
});
beforeEach(() => {
  parent.asked.length = 0;
  parent.shown.clear();
});
afterAll(async () => {
  parent.close();
  world.remove();
  await origins.close();
});

const asParent = () => `http://${CREDENTIALS}@127.0.0.1:${parent.port}`;

function run(script: string, flags: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const upstream = ['--dns-upstream', `127.0.0.1:${origins.dnsPort}`];
  const argv = ['run', '--policy', './p.yaml', ...upstream, ...flags, '--', 'sh', '-c', script];
  return world.sand(argv, { environment });
}

describe('a guest behind a parent proxy', () => {
  it('reaches by it what its policy allows, names that only the parent knows too', async () => {
    const flags = ['--upstream-proxy', asParent(), '--trust-ca', origins.authority];
    const { stdout, code } = await run(
      `curl -sS http://${INSIDE}/a; curl -sSk https://${INSIDE}/b; env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'`,
      flags,
    );
    expect(code).toBe(0);
    expect(stdout).toContain(`hello from ${INSIDE}`);
    expect(stdout).toContain('secret hello of /b');
    expect(parent.asked).toEqual([`GET http://${INSIDE}/a`, `CONNECT ${INSIDE}:443`]);
    expect([...parent.shown]).toEqual([`Basic ${Buffer.from(CREDENTIALS).toString('base64')}`]);
    expect(stdout).not.toContain('parent-secret');
  });

  it('hands nothing over that its policy denies, by name or by address', async () => {
    const { stdout } = await run(
      `curl -sS -o /dev/null -w '%{http_code}\\n' http://${DENIED}/; curl -sS --noproxy '*' http://203.0.113.7/; curl -sS http://169.254.169.254/; true`,
      ['--upstream-proxy', asParent()],
    );
    expect(stdout).toContain('403');
    expect(parent.asked).toEqual([]);
  });

  it('takes the host\u2019s own variables, and leaves out what no_proxy names', async () => {
    const environment = { https_proxy: asParent(), http_proxy: asParent(), no_proxy: '.origin.test' };
    const { stdout } = await run(
      `curl -sS http://${INSIDE}/by; curl -sS http://${ALLOWED}:${origins.httpPort}/past; env`,
      [],
      environment,
    );
    expect(parent.asked).toEqual([`GET http://${INSIDE}/by`]);
    expect(stdout).not.toContain('parent-secret');
  });

  it('whose parent refuses learns that, and the log too', async () => {
    const wrong = `http://user:wrong@127.0.0.1:${parent.port}`;
    const { stdout, stderr } = await run(`curl -sSi http://${INSIDE}/; true`, ['--upstream-proxy', wrong]);
    expect(stdout).toContain('x-sand-reason: upstream-refused');
    expect(stdout + stderr).not.toContain('wrong');
    const closed = (await world.events()).find(({ kind }) => kind === 'close');
    expect(closed).toMatchObject({ reason: 'upstream-refused', detail: expect.stringContaining('407') });
  });
});
