import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UI_LIMITS } from '../../../controller/audit-ui/limits.ts';
import { connection, runStart } from '../../audit/samples.ts';
import { RUN, UiWorld, writing } from './world.ts';

let world: UiWorld;
beforeEach(async () => {
  world = new UiWorld();
  world.run([runStart(), connection()]);
  await world.start();
});
afterEach(() => world.end());

/** What was sent byte by byte, and all that came back until the other side closed. */
async function raw(text: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: world.server.port });
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

const token = () => new URL(world.server.link).searchParams.get('token') ?? '';

describe('the link', () => {
  it('is exchanged for a cookie of its own path that no script reads, and leads to a clean address', async () => {
    const { status, headers } = await world.ask(`/?token=${token()}`);
    expect(status).toBe(303);
    expect(headers.location).toMatch(/^\/[\w-]{16}\/$/);
    const [cookie] = headers['set-cookie'] ?? [];
    expect(cookie).toMatch(
      new RegExp(
        `^sand-${world.server.port}=[\\w-]{43}; Path=${headers.location}; HttpOnly; SameSite=Strict$`,
      ),
    );
    expect(cookie).not.toContain(token());
    expect(JSON.stringify(headers)).not.toContain(token());
  });

  it('is good once: the second use is refused and told', async () => {
    await world.ask(`/?token=${token()}`);
    expect(world.alarms).toEqual([]);
    const again = await world.ask(`/?token=${token()}`);
    expect(again.status).toBe(403);
    expect(again.headers['set-cookie']).toBeUndefined();
    expect(again.text).toContain('used already');
    expect(world.alarms).toEqual(['token-used']);
  });

  it('cannot be guessed: after a few wrong ones even the right one is refused for a while, and that is told once', async () => {
    for (let at = 0; at < UI_LIMITS.guesses; at += 1)
      expect((await world.ask(`/?token=${'A'.repeat(43)}`)).status).toBe(403);
    expect((await world.ask(`/?token=${token()}`)).status).toBe(429);
    expect(world.alarms).toEqual(['too-many-guesses']);
    world.nowMs += UI_LIMITS.guessWindowMs;
    expect((await world.ask(`/?token=${token()}`)).status).toBe(303);
  });

  it('is not used up by a browser that looks ahead, nor by a page of another origin', async () => {
    for (const headers of [{ 'sec-purpose': 'prefetch' }, { 'sec-fetch-site': 'cross-site' }])
      expect((await world.ask(`/?token=${token()}`, { headers })).status).toBe(403);
    expect((await world.ask(`/?token=${token()}`)).status).toBe(303);
  });

  it.each(['', 'x', 'A'.repeat(43), 'A'.repeat(65), '%00', 'a&token=b'])(
    'is no other text: %j',
    async (text) => {
      expect((await world.ask(`/?token=${text}`)).headers['set-cookie']).toBeUndefined();
    },
  );
});

describe('who may ask', () => {
  it('sees nothing without the session, wherever it asks', async () => {
    const { place } = await world.open();
    for (const path of [
      '/',
      `${place}/`,
      `${place}/api/runs`,
      `${place}/runs/${RUN}`,
      '/robots.txt',
      '/api/runs',
    ]) {
      const { status, text } = await world.ask(path);
      expect(status, path).toBe(401);
      expect(text).not.toContain(RUN);
    }
  });

  it('sees nothing with the cookie of another user or another start of sand', async () => {
    const { place } = await world.open();
    const other = new UiWorld();
    await other.start();
    try {
      other.run([runStart()]);
      const { cookie } = await other.open();
      const value = cookie.replace(/^sand-\d+/, `sand-${world.server.port}`);
      for (const foreign of [cookie, value, `sand-${world.server.port}=`, 'x=y'])
        expect((await world.ask(`${place}/api/runs`, { headers: { cookie: foreign } })).status).toBe(401);
    } finally {
      await other.end();
    }
  });

  it('keeps its session where a service on another port has set a cookie of the same name', async () => {
    const { place, cookie } = await world.open();
    const tossed = `sand-${world.server.port}=evil; ${cookie}`;
    expect((await world.ask(`${place}/api/runs`, { headers: { cookie: tossed } })).status).toBe(200);
  });

  it.each(['evil.example', 'localhost', '127.0.0.1', '127.0.0.1:1', '[::1]', '127.0.0.1.evil.example'])(
    'is refused under another name, whatever it leads to: %s',
    async (name) => {
      const { place, cookie } = await world.open();
      const host = name.includes(':') || name === '127.0.0.1' ? name : `${name}:${world.server.port}`;
      const { status, text } = await world.ask(`${place}/api/runs`, { headers: { cookie, host } });
      expect(status).toBe(421);
      expect(text).not.toContain(RUN);
      expect((await world.ask(`/?token=${token()}`, { headers: { host } })).status).toBe(421);
    },
  );

  it('is refused with two Host fields, and with none', async () => {
    const host = `Host: 127.0.0.1:${world.server.port}\r\n`;
    const head = `GET /?token=${token()} HTTP/1.1\r\nConnection: close\r\n`;
    expect(await raw(`${head}${host}Host: evil.example\r\n\r\n`)).toMatch(/^HTTP\/1\.1 4\d\d/);
    expect(await raw(`${head}\r\n`)).toMatch(/^HTTP\/1\.1 400/);
    expect(await raw(`${head}${host}\r\n`)).toMatch(/^HTTP\/1\.1 303/);
  });

  it.each(['same-site', 'cross-site'])(
    'is refused where another page asks, one on another port of this address among them: %s',
    async (site) => {
      const { place, cookie } = await world.open();
      const headers = { cookie, 'sec-fetch-site': site };
      expect((await world.ask(`${place}/`, { headers })).status).toBe(403);
      expect((await world.ask(`${place}/api/runs`, { headers })).status).toBe(403);
    },
  );

  it.each([
    ['no origin', { origin: undefined }],
    ['a foreign origin', { origin: 'http://evil.example' }],
    ['the origin of a published port', { origin: 'http://127.0.0.1:8080' }],
    ['no origin of a sandboxed frame', { origin: 'null' }],
    ['no word of the page', { 'x-sand-csrf': undefined }],
    ['a wrong word of the page', { 'x-sand-csrf': 'A'.repeat(43) }],
    ['no session', { cookie: undefined }],
    ['another site', { 'sec-fetch-site': 'same-site' }],
  ])('writes nothing with %s', async (_, change) => {
    const session = await world.open();
    const headers = Object.fromEntries(
      Object.entries({ ...writing(session), ...change }).filter(([, value]) => value !== undefined),
    ) as Record<string, string>;
    const body = JSON.stringify({ run: RUN, seq: 2, action: 'allow' });
    const { status } = await world.ask(`${session.place}/api/proposals`, { method: 'POST', headers, body });
    expect([401, 403]).toContain(status);
  });

  it.each(['PUT', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'PATCH'])('knows no %s', async (method) => {
    const session = await world.open();
    expect((await world.ask(`${session.place}/api/runs`, { method, headers: writing(session) })).status).toBe(
      405,
    );
  });
});

describe('what is asked for', () => {
  it('is the page with its security fields, the runs, and nothing else', async () => {
    const { place, cookie } = await world.open();
    const page = await world.ask(`${place}/runs/${RUN}`, { headers: { cookie } });
    expect(page.status).toBe(200);
    expect(page.headers).toMatchObject({
      'cache-control': 'no-store',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    });
    const runs = await world.ask(`${place}/api/runs`, { headers: { cookie } });
    expect(JSON.parse(runs.text)).toMatchObject({ runs: [{ run: RUN, live: false, exitCode: null }] });
    expect((await world.ask(`${place}/`, { headers: { cookie } })).headers.location).toBe(
      `${place}/runs/${RUN}`,
    );
  });

  it('has a strict policy of content on every answer, errors among them', async () => {
    for (const path of ['/', '/?token=x', '/%2e%2e/']) {
      const { headers } = await world.ask(path);
      expect(headers['content-security-policy']).toContain("default-src 'none'");
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(headers['cache-control']).toBe('no-store');
    }
  });

  it.each([
    '/runs/../../../etc/passwd',
    '/runs/%2e%2e%2f%2e%2e',
    '/runs/..',
    '/runs//',
    `/runs/${RUN}/`,
    `/runs/${RUN}/audit.jsonl`,
    `/runs/${RUN}%00`,
    '/runs/20261121-201500-zzzz',
    `/api/runs/${RUN}/events/../x`,
    '/api/runs/20261121-201500-zzzz/events?after=0',
    '/api/proposals',
    '/__proto__',
    '/runs/constructor',
  ])('is no other file, whatever the path: %s', async (path) => {
    const { place, cookie } = await world.open();
    const { status, text } = await world.ask(`${place}${path}`, { headers: { cookie } });
    expect([400, 404]).toContain(status);
    expect(text).not.toMatch(/root:|prev|state/);
  });

  it('is no other server: an absolute target, a tunnel and an upgrade get nothing', async () => {
    const { cookie } = await world.open();
    const fields = `Host: 127.0.0.1:${world.server.port}\r\nCookie: ${cookie}\r\n`;
    expect(await raw(`GET http://evil.example/ HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`)).toMatch(
      / 400 /,
    );
    expect(await raw(`CONNECT evil.example:443 HTTP/1.1\r\n${fields}\r\n`)).toBe('');
    expect(await raw(`GET / HTTP/1.1\r\n${fields}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`)).toBe(
      '',
    );
  });

  it.each([
    [
      'too long, though it says the right thing',
      JSON.stringify({ run: RUN, seq: 2, action: 'allow' }) + ' '.repeat(UI_LIMITS.bodyBytes),
    ],
    ['no JSON', 'run=1'],
    ['a list', '[]'],
    ['nothing', ''],
    ['an unknown key', JSON.stringify({ run: RUN, seq: 2, action: 'allow', host: 'evil.example' })],
    ['a path for a run', JSON.stringify({ run: '../../x', seq: 2, action: 'allow' })],
    ['a text for a number', JSON.stringify({ run: RUN, seq: '2', action: 'allow' })],
    ['a negative number', JSON.stringify({ run: RUN, seq: -1, action: 'allow' })],
    ['another action', JSON.stringify({ run: RUN, seq: 2, action: '__proto__' })],
  ])('is not taken where it is %s', async (_, body) => {
    const session = await world.open();
    const { status } = await world.ask(`${session.place}/api/proposals`, {
      method: 'POST',
      headers: writing(session),
      body,
    });
    expect(status).toBe(400);
  });

  it('is not taken as a form, which needs no leave of a browser', async () => {
    const session = await world.open();
    const headers = { ...writing(session), 'content-type': 'text/plain' };
    const body = JSON.stringify({ run: RUN, seq: 2, action: 'allow' });
    expect(
      (await world.ask(`${session.place}/api/proposals`, { method: 'POST', headers, body })).status,
    ).toBe(400);
  });

  it('is not read where its head is too long', async () => {
    const long = 'x'.repeat(UI_LIMITS.headBytes);
    expect(await raw(`GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${long}\r\n\r\n`)).toBe('');
  });
});

describe('the server', () => {
  it('listens on loopback alone, and leaves nothing when it ends', async () => {
    const { port } = world.server;
    const { place, cookie } = await world.open();
    const open = world
      .ask(`${place}/api/runs/${RUN}/events?after=0`, { headers: { cookie } })
      .catch((error: unknown) => error);
    await world.server.close();
    await open;
    const socket = connect({ host: '127.0.0.1', port });
    await expect(once(socket, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('never listens on a port of resolvers', async () => {
    const { createUiServer } = await import('../../../controller/audit-ui/server.ts');
    const { root, proposals } = world;
    const pages = { make: async () => ({ policy: '', html: [] }) };
    const options = { root, proposals, pages, first: async () => null, nowMs: Date.now, alarmed: () => {} };
    await expect(createUiServer({ ...options, port: 5353 })).rejects.toMatchObject({ code: 'port-refused' });
    await expect(createUiServer({ ...options, port: world.server.port })).rejects.toMatchObject({
      code: 'port-in-use',
    });
  });
});
