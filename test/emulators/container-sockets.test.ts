import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEmulated, type Emulated, WITHOUT_GUESTS } from './container-call.ts';

/** Sends, closes its half, and prints the answer; `hangs` where none comes. */
const CLIENT = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(1)
try:
    s.connect('/.sand/' + sys.argv[1])
    s.sendall(b'x' * int(sys.argv[2]))
    s.shutdown(socket.SHUT_WR)
    answer = b''
    while part := s.recv(65536):
        answer += part
    print(answer.decode())
except TimeoutError:
    print('hangs')
except OSError as error:
    print('cut off')
`;

describe.skipIf(WITHOUT_GUESTS)('sockets of the host in an emulated guest (needs root on Linux)', () => {
  let emulated: Emulated;
  const servers: Server[] = [];
  const paths = (name: string) => join(emulated.home, 'long'.repeat(20), `${name}.sock`);

  async function listen(name: string): Promise<Server> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      let count = 0;
      socket.on('data', (chunk) => {
        count += chunk.length;
      });
      // Only after the other half is closed is there an answer.
      socket.on('end', () => socket.end(`${name} got ${count}`));
    });
    rmSync(paths(name), { force: true });
    await new Promise<void>((resolve) => server.listen(paths(name), resolve));
    servers.push(server);
    return server;
  }

  async function ask(name: string, bytes: number, ...options: string[]): Promise<string> {
    const words = ['/usr/bin/python3', '-', name, String(bytes)];
    const { stdout, stderr } = await emulated.callWith(
      CLIENT,
      'exec',
      '-i',
      ...options,
      '--',
      'guest',
      ...words,
    );
    return stdout.trim() + stderr;
  }

  beforeAll(async () => {
    emulated = createEmulated();
    mkdirSync(join(emulated.home, 'long'.repeat(20)));
    await listen('a');
    await listen('b');
    chmodSync(paths('a'), 0o666);
    chmodSync(paths('b'), 0o600);
    await emulated.boot('guest', '-v', `${paths('a')}:/.sand/a`, '-v', `${paths('b')}:/.sand/b`);
  });
  afterAll(async () => {
    for (const server of servers) server.close();
    await emulated.end();
  });

  it('are reached with bytes and half-closes both ways', async () => {
    expect(await Promise.all([ask('a', 3), ask('a', 1_000_000), ask('b', 5)])).toEqual([
      'a got 3',
      'a got 1000000',
      'b got 5',
    ]);
  });

  it('have the mode bits of the host, and nobody else gets in', async () => {
    expect(statSync(paths('b')).mode & 0o777).toBe(0o600);
    expect(await ask('a', 1, '--user', '1234')).toBe('a got 1');
    expect(await ask('b', 1, '--user', '1234')).toBe('cut off');
  });

  it('are dead for good after one dial that is refused', async () => {
    const [first] = servers;
    await new Promise((resolve) => first?.close(resolve));
    expect(await ask('a', 1)).toBe('cut off');
    await listen('a');
    expect(await ask('a', 1)).toBe('hangs');
    expect(await ask('b', 1)).toBe('b got 1');
  });

  it('must be there when the guest starts', async () => {
    await emulated.call('stop', '-t', '0', 'guest');
    rmSync(paths('b'));
    const { status, stderr } = await emulated.call('start', 'guest');
    expect([status, stderr.startsWith('Error: path ')]).toEqual([1, true]);
  });
});
