/** What a guest of the apple-container backend reaches, and is reached by, over the relay: clients, ports, loads, policies that change. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, createOrigins, DENIED, type Origins } from '../origins.ts';
import { APPLE_MS, type AppleWorld, CAN_EMULATE, createAppleWorld } from './apple-world.ts';

const MIB = 1024 * 1024;
const BIG = randomBytes(50 * MIB);
const CROWD = 300;
const WITHOUT =
  'env -u http_proxy -u https_proxy -u all_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY -u NODE_USE_ENV_PROXY';

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe.skipIf(!CAN_EMULATE)(
  'the network of a guest of the apple-container backend',
  { timeout: APPLE_MS },
  () => {
    let world: AppleWorld;
    let origins: Origins;
    let big: Server;
    let bigPort: number;
    let published: ReadonlyMap<number, number>;

    const policy = (more = '') => `version: 1
name: network
rules:
  - allow: ${ALLOWED}
    http: [${origins.httpPort}, ${bigPort}]
    https: [${origins.httpsPort}]
    addresses: [127.0.0.0/8]
  - allow: raw.origin.test
    tcp: [${origins.tcpPort}]
    addresses: [127.0.0.0/8]
  - deny: ${DENIED}
    because: the tests say so
${more}`;

    beforeAll(async () => {
      origins = await createOrigins();
      big = createServer((_, response) => response.end(BIG));
      big.listen({ port: 0, host: '127.0.0.1' });
      await once(big, 'listening');
      bigPort = Object(big.address()).port;
      world = createAppleWorld();
      writeFileSync(join(world.root, 'p.yaml'), policy());
      world.file('load.py', LOAD);
      const flags = ['--policy', '../p.yaml', '--dns-upstream', `127.0.0.1:${origins.dnsPort}`];
      const mounts = ['--mount', '.', '--mount', `${origins.authority}:/certificates/ca.pem:ro`];
      const variables = ['--env', 'CURL_CA_BUNDLE=/certificates/ca.pem'];
      await world.detach(
        'net',
        [],
        [...flags, ...mounts, ...variables, '-p', '0:8001', '-p', '0:8002', '-p', '0:8003'],
      );
      const { stdout } = await world.sand(['inspect', 'net', '--json']);
      const { ports } = JSON.parse(stdout) as { ports: readonly { hostPort: number; guestPort: number }[] };
      published = new Map(ports.map(({ hostPort, guestPort }) => [guestPort, hostPort]));
    }, APPLE_MS);
    afterAll(async () => {
      await world.end();
      big.close();
      big.closeAllConnections();
      await origins.close();
    }, APPLE_MS);

    it.each(['', WITHOUT])('curl reaches what is allowed over http and https: %s', async (how) => {
      const { stdout } = await world.exec(
        'net',
        `${how} curl -sS -m 20 http://${ALLOWED}:${origins.httpPort}/; ${how} curl -sS -m 20 https://${ALLOWED}:${origins.httpsPort}/x`,
      );
      expect(stdout).toBe(`hello from ${ALLOWED}:${origins.httpPort}\nsecret hello of /x\n`);
    });

    it('and is told why of what is not, in words of the gateway; without a proxy, no name is an address', async () => {
      const http = `curl -sS -m 20 http://${DENIED}:${origins.httpPort}/`;
      const https = `curl -sS -m 20 https://${DENIED}:${origins.httpsPort}/`;
      const { stdout, stderr } = await world.exec(
        'net',
        `${http}; ${https}; ${WITHOUT} ${http}; ${WITHOUT} ${https}`,
      );
      expect(stdout).toContain('the tests say so');
      expect(stdout).not.toContain('hello');
      expect(stderr.match(/Could not resolve host/g)).toHaveLength(2);
      expect(origins.asked).not.toContain(DENIED);
    });

    it('raw TCP by a rule is carried, idle for a while, and half-closed', async () => {
      const { stdout } = await world.exec('net', `python3 load.py idle raw.origin.test ${origins.tcpPort}`);
      expect(stdout).toBe('echo one\necho two\n');
    });

    it('what was never planted is refused at once, and UDP and foreign resolvers lead nowhere', async () => {
      const { stdout } = await world.exec('net', 'python3 load.py tries');
      expect(stdout.trim().split('\n')).toEqual([
        'tcp refused',
        'tcp6 refused',
        'udp refused',
        'dns over tcp answered',
        'dns over udp answered',
      ]);
    });

    it(`${CROWD} downloads at one time all come`, async () => {
      const before = origins.requests.length;
      const { stdout, stderr } = await world.exec(
        'net',
        `python3 load.py crowd ${ALLOWED} ${origins.httpPort} ${CROWD}`,
      );
      expect([stdout, stderr]).toEqual([`${CROWD} of ${CROWD}\n`, '']);
      expect(origins.requests.length - before).toBe(CROWD);
    });

    it('50 MiB come byte for byte', async () => {
      const { stdout } = await world.exec(
        'net',
        `${WITHOUT} curl -sS -m 100 http://${ALLOWED}:${bigPort}/ | sha256sum`,
      );
      expect(stdout.slice(0, 64)).toBe(digest(BIG));
    });

    it('a port that a changed policy adds is planted in the guest that runs', async () => {
      const other = createServer((_, response) => response.end('added\n'));
      other.listen({ port: 0, host: '127.0.0.1' });
      await once(other, 'listening');
      const { port } = Object(other.address());
      const ask = `${WITHOUT} curl -sS -m 5 http://${ALLOWED}:${port}/`;
      expect((await world.exec('net', ask)).code).not.toBe(0);
      writeFileSync(
        join(world.root, 'p.yaml'),
        policy(`  - allow: ${ALLOWED}\n    http: [${port}]\n    addresses: [127.0.0.0/8]\n`),
      );
      const { stdout } = await world.exec(
        'net',
        `n=0; while [ $n -lt 100 ]; do n=$((n+1)); ${ask} 2>/dev/null && break; sleep 0.1; done`,
      );
      expect(stdout).toContain('added');
      other.close();
    });

    it('published ports are reached from the host, several at one time, with each half closed by itself', async () => {
      await world.exec('net', 'python3 load.py serve 8001 >/dev/null 2>&1 </dev/null & sleep 1');
      const bytes = randomBytes(2 * MIB);
      const all = await Promise.all(Array.from({ length: 5 }, () => echoed(published.get(8001) ?? 0, bytes)));
      expect(all.map(digest)).toEqual(Array.from({ length: 5 }, () => digest(bytes)));
    });

    it('a published port that nobody listens on is closed, and the log says so', async () => {
      expect(await echoed(published.get(8002) ?? 0, Buffer.from('x'))).toHaveLength(0);
      await world.sand(['stop', 'net']);
      const events = await world.events();
      expect(events).toContainEqual(expect.objectContaining({ reason: 'guest-port-closed' }));
      // Of what was tried where nothing is, the relay keeps count.
      expect(events).toContainEqual(
        expect.objectContaining({ kind: 'unplanted', host: '203.0.113.9', port: 4444 }),
      );
      await world.nothingRemains();
    });
  },
);

/** Says these bytes, ends its half, and gives what came. */
async function echoed(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.end(bytes);
  try {
    for await (const chunk of socket) chunks.push(chunk as Buffer);
  } catch {
    // A reset is an end as well.
  }
  return Buffer.concat(chunks);
}

const LOAD = `
import socket, sys, threading, time
what, *rest = sys.argv[1:]

def receive(connection):
    data = b''
    while True:
        part = connection.recv(65536)
        if not part: return data
        data += part

def idle(host, port):
    connection = socket.create_connection((host, int(port)), 20)
    connection.sendall(b'one\\n')
    sys.stdout.write(connection.recv(99).decode())
    time.sleep(4)
    connection.sendall(b'two\\n')
    sys.stdout.write(connection.recv(99).decode())

def attempt(name, family, kind, address, say=b''):
    connection = socket.socket(family, kind)
    connection.settimeout(3)
    try:
        connection.connect(address)
        if say: connection.send(say)
        answer = connection.recv(512)
        print(name, 'answered' if answer else 'closed')
    except ConnectionRefusedError: print(name, 'refused')
    except TimeoutError: print(name, 'nothing')
    except OSError as error: print(name, error)

def tries():
    question = bytes.fromhex('123401000001000000000000') + b'\\x07allowed\\x06origin\\x04test\\x00\\x00\\x01\\x00\\x01'
    attempt('tcp', socket.AF_INET, socket.SOCK_STREAM, ('203.0.113.9', 4444))
    attempt('tcp6', socket.AF_INET6, socket.SOCK_STREAM, ('2001:db8::9', 4444))
    attempt('udp', socket.AF_INET, socket.SOCK_DGRAM, ('203.0.113.9', 999), b'x')
    attempt('dns over tcp', socket.AF_INET, socket.SOCK_STREAM, ('203.0.113.53', 53), len(question).to_bytes(2, 'big') + question)
    attempt('dns over udp', socket.AF_INET, socket.SOCK_DGRAM, ('203.0.113.53', 53), question)

def crowd(host, port, count):
    got = []
    def one():
        try:
            connection = socket.create_connection((host, int(port)), 60)
            connection.settimeout(60)
            connection.sendall(b'GET / HTTP/1.1\\r\\nHost: %s:%s\\r\\nConnection: close\\r\\n\\r\\n' % (host.encode(), port.encode()))
            if b'hello from' in receive(connection): got.append(1)
        except OSError as error: print(error, file=sys.stderr)
    threads = [threading.Thread(target=one) for _ in range(int(count))]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(len(got), 'of', count)

def serve(port):
    server = socket.create_server(('127.0.0.1', int(port)))
    def one(connection):
        connection.sendall(receive(connection))
        connection.close()
    while True: threading.Thread(target=one, args=(server.accept()[0],)).start()

globals()[what](*rest)
`;
