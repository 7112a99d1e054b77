import { execFile } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { allow, eventually, policyOf, RawOrigin, Rig, type RigOptions } from './rig.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A proxy whose policy allows a.example and b.example on the port of an HTTP origin. */
async function withOrigin(handler: Handler, options: RigOptions = {}) {
  const rig = new Rig(options);
  const origin = await rig.adopt(createServer({ keepAliveTimeout: 60_000 }, handler));
  rig.setPolicy(policyOf(allow('a.example', `http: [${origin}]`) + allow('b.example', `http: [${origin}]`)));
  return { rig, origin, port: await rig.proxyPort() };
}

/** The same with an origin of raw bytes. */
async function withRawOrigin(onData: RawOrigin['onData'], options: RigOptions = {}) {
  const rig = new Rig(options);
  const origin = new RawOrigin(onData);
  const originPort = await rig.serve(origin.accept);
  rig.setPolicy(policyOf(allow('a.example', `http: [${originPort}]`)));
  return { rig, origin, originPort, port: await rig.proxyPort() };
}

const answer = (socket: { write(text: string): unknown }, body = 'ok') =>
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);

describe('plain HTTP forwarding', () => {
  it('serves several hosts on one connection in turn, each judged and recorded by itself', async () => {
    const { rig, origin, port } = await withOrigin((request, response) =>
      response.end(`for ${request.headers.host}`),
    );
    await using _ = rig;
    const client = await rig.client(port);
    client.send(`GET http://a.example:${origin}/1?token=x HTTP/1.1\r\nHost: a.example:${origin}\r\n\r\n`);
    await client.until(/for a\.example/);
    client.send(`GET http://c.example/ HTTP/1.1\r\nHost: c.example\r\n\r\n`);
    await client.until(/sand why c\.example:80\n/);
    client.send(`GET http://b.example:${origin}/2 HTTP/1.1\r\nHost: b.example:${origin}\r\n\r\n`);
    await client.until(/for b\.example/);
    expect(rig.decisions).toMatchObject([
      {
        host: 'a.example',
        port: origin,
        disposition: 'forwarded',
        method: 'GET',
        path: '/1',
        address: '127.0.0.1',
      },
      { host: 'c.example', port: 80, disposition: 'refused', verdict: 'deny', reason: 'no-rule' },
      { host: 'b.example', port: origin, disposition: 'forwarded', via: 'forward', protocol: 'http' },
    ]);
    expect(JSON.stringify(rig.events)).not.toContain('token');
    expect(rig.closes).toMatchObject([{ status: 200 }, { status: 200 }]);
    expect(rig.lookedUp).toEqual(['a.example', 'b.example']);
  });

  it('answers pipelined requests in their order', async () => {
    const { rig, origin, port } = await withOrigin((request, response) => response.end(`<${request.url}>`));
    await using _ = rig;
    const client = await rig.client(port);
    const paths = ['/1', '/2', '/3', '/4'];
    client.send(
      paths
        .map((path) => `GET http://a.example:${origin}${path} HTTP/1.1\r\nHost: a.example:${origin}\r\n\r\n`)
        .join(''),
    );
    const text = await client.until(/<\/4>/);
    expect(text.match(/<[^>]*>/g)).toEqual(paths.map((path) => `<${path}>`));
  });

  it('takes exactly its body from a request, and what follows is the next', async () => {
    const { rig, origin, port } = await withOrigin((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => response.end(`<${request.method} ${body}>`));
    });
    await using _ = rig;
    const client = await rig.client(port);
    const head = (method: string) =>
      `${method} http://a.example:${origin}/ HTTP/1.1\r\nHost: a.example:${origin}\r\n`;
    client.send(
      `${head('POST')}Content-Length: 3\r\n\r\none${head('PUT')}Transfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n${head('GET')}\r\n`,
    );
    const text = await client.until(/<GET >/);
    expect(text.match(/<[^>]*>/g)).toEqual(['<POST one>', '<PUT two>', '<GET >']);
  });

  it('keeps an upstream connection for the next request, also of another client', async () => {
    const { rig, origin, originPort, port } = await withRawOrigin((socket, text) => {
      if (text.endsWith('\r\n\r\n')) answer(socket);
    });
    await using _ = rig;
    for (const client of [await rig.client(port), await rig.client(port)]) {
      client.send(`GET http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
      await client.until(/ok$/);
    }
    expect(origin.connections.length).toBe(1);
  });

  it('sends a safe request again when an idle upstream connection turns out dead', async () => {
    let isFirst = true;
    const { rig, origin, originPort, port } = await withRawOrigin((socket, text) => {
      if (!text.endsWith('\r\n\r\n')) return;
      if (text.split('GET ').length === 3) socket.destroy();
      else answer(socket, isFirst ? 'one' : 'two');
      isFirst = false;
    });
    await using _ = rig;
    const client = await rig.client(port);
    const get = `GET http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`;
    await client.send(get).until(/one$/);
    await client.send(get).until(/two$/);
    expect(origin.connections.length).toBe(2);
  });

  it('writes Host from what was judged and passes the path on byte for byte', async () => {
    const { rig, origin, originPort, port } = await withRawOrigin((socket, text) => {
      if (text.includes('\r\n\r\n')) answer(socket);
    });
    await using _ = rig;
    const client = await rig.client(port);
    const path = '//x/../%2e%2e\\{|}?a=//b?c';
    client.send(
      `POST http://A.EXAMPLE:${originPort}${path} HTTP/1.1\r\nHost: a.example:${originPort}\r\nContent-Length: 2\r\n\r\nhi`,
    );
    await client.until(/ok$/);
    expect(origin.text.startsWith(`POST ${path} HTTP/1.1\r\n`)).toBe(true);
    expect(origin.text).toMatch(new RegExp(`\r\nHost: a\\.example:${originPort}\r\n`));
  });

  it('keeps hop-by-hop fields, proxy credentials and what Connection names to itself', async () => {
    const { rig, origin, originPort, port } = await withRawOrigin((socket, text) => {
      if (text.endsWith('\r\n\r\n')) {
        socket.write(
          'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n' +
            'Proxy-Authenticate: Basic\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Kept: yes\r\n\r\nok',
        );
      }
    });
    await using _ = rig;
    const client = await rig.client(port);
    client.send(
      `GET http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\nProxy-Authorization: Basic c2VjcmV0\r\n` +
        'Proxy-Connection: keep-alive\r\nConnection: X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\nCookie: a=1\r\nX-Kept: yes\r\n\r\n',
    );
    const text = await client.until(/ok$/);
    expect(origin.text).toContain('Cookie: a=1');
    expect(origin.text).toContain('X-Kept: yes');
    expect(origin.text).not.toMatch(/c2VjcmV0|Proxy-|X-Mine|TE:|Keep-Alive: 5/i);
    expect(text).toContain('Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n');
    expect(text).not.toMatch(/X-Hop|timeout=9|Proxy-Authenticate/i);
  });

  it.each(['DELETE', 'OPTIONS', 'GET', 'PROPFIND'])(
    'carries the chunked body of a %s as its body: no second request is smuggled',
    async (method) => {
      const { rig, origin, originPort, port } = await withRawOrigin((socket, text) => {
        if (text.endsWith('0\r\n\r\n')) answer(socket);
      });
      await using _ = rig;
      const inner = `GET /smuggled HTTP/1.1\r\nHost: evil.example\r\n\r\n`;
      const client = await rig.client(port);
      client.send(
        `${method} http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\nTransfer-Encoding: chunked\r\n\r\n` +
          `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`,
      );
      await client.until(/ok$/);
      const head = origin.text.slice(0, origin.text.indexOf('\r\n\r\n'));
      expect(head).toMatch(/transfer-encoding: chunked/i);
      expect(head).not.toMatch(/content-length/i);
      expect(rig.decisions.length).toBe(1);
    },
  );

  it('relays trailers of both sides', async () => {
    const { rig, origin, originPort, port } = await withRawOrigin((socket, text) => {
      if (text.endsWith('X-Up: 1\r\n\r\n')) {
        socket.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Down: 1\r\nHost: x\r\n\r\n',
        );
      }
    });
    await using _ = rig;
    const client = await rig.client(port);
    client.send(
      `POST http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\nTransfer-Encoding: chunked\r\n\r\n` +
        '2\r\nhi\r\n0\r\nX-Up: 1\r\n\r\n',
    );
    const text = await client.until(/X-Down: 1\r\n\r\n$/);
    expect(text).not.toContain('Host: x');
    expect(origin.text).toContain('0\r\nX-Up: 1\r\n\r\n');
  });

  it('frames answers without a body right', async () => {
    const { rig, origin, port } = await withOrigin((request, response) => {
      if (request.method === 'HEAD') response.setHeader('content-length', '1234');
      response.statusCode = request.url === '/304' ? 304 : request.url === '/204' ? 204 : 200;
      response.end();
    });
    await using _ = rig;
    const client = await rig.client(port);
    const ask = (method: string, path: string) =>
      client.send(
        `${method} http://a.example:${origin}${path} HTTP/1.1\r\nHost: a.example:${origin}\r\n\r\n`,
      );
    ask('HEAD', '/');
    ask('GET', '/204');
    ask('GET', '/304');
    ask('GET', '/last');
    await client.until(/304 Not Modified[\s\S]*200 OK[\s\S]*\r\n\r\n/);
    await eventually(() => rig.closes.length === 4, 'four answers');
    expect(rig.closes.map(({ status }) => status)).toEqual([200, 204, 304, 200]);
    expect(client.text).toContain('Content-Length: 1234');
  });

  it('ends the connection of an HTTP/1.0 client behind a body without length', async () => {
    const { rig, originPort, port } = await withRawOrigin((socket, text) => {
      if (text.endsWith('\r\n\r\n')) {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n');
      }
    });
    await using _ = rig;
    const client = await rig.client(port);
    client.send(`GET http://a.example:${originPort}/ HTTP/1.0\r\n\r\n`);
    const text = await client.all();
    expect(text).toMatch(/connection: close\r\n\r\nhello$/i);
    expect(text).not.toMatch(/transfer-encoding/i);
  });

  it('asks for the body of a patient client once it is judged, and never of a refused one', async () => {
    const { rig, origin, port } = await withOrigin((request, response) => {
      request.resume();
      request.on('end', () => response.end('taken'));
    });
    await using _ = rig;
    const client = await rig.client(port);
    const post = (host: string) =>
      `POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;
    client.send(post(`a.example:${origin}`));
    await client.until(/100 Continue\r\n\r\n/);
    client.send('body');
    await client.until(/taken/);
    const refused = await rig.client(port);
    refused.send(post('c.example'));
    expect(await refused.all()).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('passes interim answers on, but no endless row of them', async () => {
    const { rig, originPort, port } = await withRawOrigin((socket, text) => {
      if (!text.endsWith('\r\n\r\n')) return;
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(50));
      answer(socket);
    });
    await using _ = rig;
    const client = await rig.client(port);
    client.send(`GET http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    const text = await client.until(/ok$/);
    expect(text.match(/103 Early Hints/g)?.length).toBe(8);
  });

  it('relays a large body both ways without holding it', async () => {
    const { rig, origin, port } = await withOrigin((request, response) => request.pipe(response));
    await using _ = rig;
    const client = await rig.client(port);
    const body = Buffer.alloc(5 * 1024 * 1024, 'x');
    client.send(
      `PUT http://a.example:${origin}/ HTTP/1.1\r\nHost: a.example:${origin}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`,
    );
    client.send(body);
    const text = await client.all();
    expect(text.length).toBeGreaterThan(body.length);
    expect(rig.closes[0]?.bytesOut).toBeGreaterThan(body.length);
    expect(rig.closes[0]?.bytesIn).toBeGreaterThan(body.length);
  });

  it('prints no deprecation of the library', async () => {
    // A process of its own: Node tells each deprecation once.
    const script = `
      import { createServer } from 'node:http';
      const { allow, policyOf, Rig } = await import(process.argv[1]);
      const rig = new Rig();
      const origin = await rig.adopt(createServer((_, response) => response.end('fine')));
      rig.setPolicy(policyOf(allow('a.example', 'http: [' + origin + ']')));
      const client = await rig.client(await rig.proxyPort());
      client.send('GET http://a.example:' + origin + '/ HTTP/1.1\\r\\nHost: a.example:' + origin + '\\r\\n\\r\\n');
      await client.until(/fine/);
      console.log(process.noDeprecation);
      process.exit();
    `;
    const rigModule = new URL('rig.ts', import.meta.url).pathname;
    const args = ['--input-type=module', '-e', script, rigModule];
    const env = { ...process.env, NODE_OPTIONS: '' };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env });
    expect(stdout).toBe('false\n');
    expect(stderr).toBe('');
  });
});

describe('when one side leaves', () => {
  it('a client that aborts leaves no upstream connection open', async () => {
    const { rig, origin, originPort, port } = await withRawOrigin(() => {});
    await using _ = rig;
    const clients = await Promise.all(Array.from({ length: 40 }, () => rig.client(port)));
    for (const client of clients) {
      client.send(`GET http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    }
    await eventually(
      () => origin.connections.filter(({ text }) => text !== '').length === 40,
      'forty requests',
    );
    for (const client of clients) client.socket.destroy();
    await eventually(
      () => origin.connections.every(({ hasEnded, isClosed }) => hasEnded || isClosed),
      'all upstreams closed',
    );
    await eventually(() => rig.closes.length === 40, 'forty closes');
    expect(rig.proxy.stats()).toMatchObject({ connections: 0, open: 0 });
  });

  it('a client that only shuts its sending side still gets a quick answer', async () => {
    const { rig, originPort, port } = await withRawOrigin((socket, text) => {
      if (text.endsWith('\r\n\r\n')) setTimeout(() => answer(socket), 50);
    });
    await using _ = rig;
    const client = await rig.client(port);
    client.send(`GET http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\n\r\n`);
    client.socket.end();
    expect(await client.all()).toMatch(/ok$/);
  });

  it('a status line with characters that Node would not write does not end the proxy', async () => {
    const { rig, originPort, port } = await withRawOrigin((socket, text) => {
      if (text.endsWith('\r\n\r\n'))
        socket.write('HTTP/1.1 200 O\u0001K\r\nX-\u00e9: 1\r\nContent-Length: 2\r\n\r\nok');
    });
    await using _ = rig;
    const client = await rig.client(port);
    client.send(
      `GET http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\nConnection: close\r\n\r\n`,
    );
    expect(await client.all()).toMatch(/^HTTP\/1\.1 (200|502) /);
  });

  it('a body that is malformed in its middle is refused, and the origin never sees its end', async () => {
    const { rig, origin, originPort, port } = await withRawOrigin(() => {});
    await using _ = rig;
    const client = await rig.client(port);
    client.send(
      `POST http://a.example:${originPort}/ HTTP/1.1\r\nHost: a.example:${originPort}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n`,
    );
    await eventually(() => origin.text.includes('hi'), 'the first chunk');
    client.send('zz\r\n');
    expect(await client.all()).toMatch(/^HTTP\/1\.1 400 [\s\S]*request-malformed/);
    await eventually(
      () => origin.connections.every(({ hasEnded, isClosed }) => hasEnded || isClosed),
      'the upstream closed',
    );
    expect(origin.text).not.toContain('0\r\n\r\n');
    expect(rig.closes).toMatchObject([{ reason: 'request-malformed' }]);
  });
});

describe('a websocket upgrade', () => {
  const handshake = (port: number) =>
    `GET http://a.example:${port}/chat HTTP/1.1\r\nHost: a.example:${port}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\n\r\n`;

  it('is relayed, then spliced both ways and counted', async () => {
    const { rig, origin, originPort, port } = await withRawOrigin((socket, text) => {
      if (text.endsWith('\r\n\r\n')) {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: xyz\r\n\r\nhello',
        );
      } else if (text.endsWith('frame')) socket.end('echo');
    });
    await using _ = rig;
    const client = await rig.client(port);
    client.send(handshake(originPort));
    await client.until(/101[\s\S]*Sec-WebSocket-Accept: xyz\r\n[\s\S]*\r\n\r\nhello$/);
    client.send('frame');
    expect(await client.all()).toMatch(/helloecho$/);
    expect(origin.text).toMatch(/Sec-WebSocket-Key: abc/);
    expect(origin.text).toMatch(/Connection: Upgrade/);
    await eventually(() => rig.closes.length === 1, 'the close');
    expect(rig.closes[0]?.bytesOut).toBeGreaterThanOrEqual(5);
  });

  it('that the origin declines leaves no tunnel: what follows is not passed on', async () => {
    const { rig, origin, originPort, port } = await withRawOrigin((socket, text) => {
      if (text.endsWith('\r\n\r\n')) answer(socket, 'no');
    });
    await using _ = rig;
    const client = await rig.client(port);
    client.send(handshake(originPort));
    client.send('GET /smuggled HTTP/1.1\r\nHost: evil.example\r\n\r\n');
    expect(await client.all()).toMatch(/^HTTP\/1\.1 200 [\s\S]*Connection: close\r\n\r\nno$/);
    expect(origin.text).not.toContain('smuggled');
  });

  it('to a host that is not allowed is refused', async () => {
    const { rig, port } = await withRawOrigin(() => {});
    await using _ = rig;
    const client = await rig.client(port);
    client.send(
      'GET http://c.example/ HTTP/1.1\r\nHost: c.example\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n',
    );
    expect(await client.all()).toMatch(/^HTTP\/1\.1 403 /);
  });
});
