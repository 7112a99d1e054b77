/** Two guests at once: neither reaches the other's servers, sockets, processes or files. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LINK } from '../../../controller/links/namespace/topology.ts';
import { CALLERS, createWorld, outputOf, type World } from '../sand.ts';

const PORT = 8_080;

/** Serves on every address and by every kind of socket, says `ready`, and tells at the end who came. */
const SERVER = `import os, select, socket, sys
places = [socket.create_server(('', ${PORT}), family=socket.AF_INET), socket.create_server(('::1', ${PORT}), family=socket.AF_INET6)]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('', ${PORT}))
abstract = socket.socket(socket.AF_UNIX); abstract.bind('\\0neighbour'); abstract.listen()
path = socket.socket(socket.AF_UNIX); path.bind('/tmp/neighbour.sock'); path.listen()
open('/dev/shm/neighbour', 'w').close()
with socket.create_connection(('127.0.0.1', ${PORT})) as own: places[0].accept()
print('ready', os.getpid(), flush=True)
came = 0
while True:
    readable = select.select(places + [udp, abstract, path, sys.stdin], [], [])[0]
    if sys.stdin in readable: break
    came += 1
print('visits', came, flush=True)`;

const VISITOR = `import json, os, socket
def reach(kind, family, address):
    s = socket.socket(family, kind); s.settimeout(1)
    try:
        s.connect(address); s.send(b'GET / HTTP/1.0\\r\\n\\r\\n')
        return s.recv(20).decode('latin1')
    except OSError as error: return type(error).__name__
print(json.dumps({
    **{a: reach(socket.SOCK_STREAM, socket.AF_INET6 if ':' in a else socket.AF_INET, (a, ${PORT})) for a in ['127.0.0.1', '::1', '${LINK.guest4}', '${LINK.gateway4}', '${LINK.guest6}', '${LINK.gateway6}', '198.18.0.3']},
    'udp': reach(socket.SOCK_DGRAM, socket.AF_INET, ('${LINK.gateway4}', ${PORT})),
    'abstract': reach(socket.SOCK_STREAM, socket.AF_UNIX, '\\0neighbour'),
    'path': reach(socket.SOCK_STREAM, socket.AF_UNIX, '/tmp/neighbour.sock'),
    'shared': os.listdir('/dev/shm'),
    'processes': sorted(open(f'/proc/{p}/cmdline').read().split('\\0')[0] for p in os.listdir('/proc') if p.isdigit()),
}))`;

describe.each(CALLERS)('two guests of the %s', (who) => {
  let world: World;

  beforeAll(() => {
    world = createWorld(who);
  });
  afterAll(() => world.remove());

  it('do not reach each other, on any address or by any socket', async () => {
    const server = world.start(['run', '--policy', 'offline', '--', '/usr/bin/python3', '-c', SERVER]);
    const ended = new Promise<string>((resolve) => {
      let text = '';
      server.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      server.on('close', () => resolve(text));
    });
    await new Promise<void>((resolve, reject) => {
      server.stdout?.once('data', () => resolve());
      server.once('close', () => reject(new Error('the server did not come up')));
    });
    const visitor = await outputOf(
      world.start(['run', '--policy', 'offline', '--', '/usr/bin/python3', '-c', VISITOR]),
      '',
    );
    server.stdin?.end();
    expect(await ended).toMatch(/visits 0/);
    const { shared, processes, ...reached } = JSON.parse(visitor.stdout) as Record<string, unknown>;
    expect(shared).toEqual([]);
    // Its own: the command, what waits for it, and what holds the guest.
    expect(processes).toEqual(['/usr/bin/python3', 'bwrap', 'cat']);
    expect(Object.keys(reached).length).toBeGreaterThan(8);
    for (const [place, outcome] of Object.entries(reached))
      expect(String(outcome), place).toMatch(/Error$|^timeout$/);
  });
});
