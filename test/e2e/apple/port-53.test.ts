/** With another program on every port 53 of the host, as WARP and local resolvers are, a guest of the apple-container backend runs, and nothing of sand's is on 53. */
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { follow } from '../lifecycle/conditions.ts';
import { descendants, socketInodes } from '../lifecycle/remains.ts';
import { APPLE, APPLE_MS, type AppleWorld, CAN_EMULATE, createAppleWorld } from './apple-world.ts';

const PYTHON = '/usr/bin/python3';
const PORT = 53;
const HELD = 6;

/** Takes them all in the network namespace that it is started in, and holds them as long as the command runs. */
const HOLDER = `
import socket, subprocess, sys
subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
held = []
for family, address in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        holding = socket.socket(family, kind)
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holding.bind((address, ${PORT}))
        if kind == socket.SOCK_STREAM: holding.listen()
        held.append(holding)
sys.exit(subprocess.run(sys.argv[1:]).returncode)
`;

interface Row {
  readonly port: number;
  readonly inode: string;
}

/** Sockets that are bound in the network namespace of a process. */
function bound(pid: number): readonly Row[] {
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((row) => row.trim().split(/\s+/))
      .map((cells) => ({
        port: Number.parseInt((cells[1] ?? '').split(':')[1] ?? '', 16),
        inode: cells[9] ?? '',
      })),
  );
}

describe.skipIf(!CAN_EMULATE || !existsSync(PYTHON))(
  'every port 53 of the host is another\u2019s',
  { timeout: APPLE_MS },
  () => {
    let world: AppleWorld;
    beforeAll(() => {
      world = createAppleWorld();
    });
    afterAll(() => world.end(), APPLE_MS);

    it('a run goes well, its guest has a resolver on its own 53, and sand holds none of the host\u2019s', async () => {
      const ask = 'getent hosts example.com; echo "asked=$?"; curl -s -m 9 http://example.com/; read on';
      const run = follow(
        world.start(['run', ...APPLE, '--policy', 'offline', '--', 'sh', '-c', ask], {
          through: ['unshare', '--net', PYTHON, '-c', HOLDER],
        }),
      );
      await run.printed('asked=', APPLE_MS);
      const own = descendants(run.pid);
      const sand = own.find(({ commandLine }) => commandLine.includes('sand.js'));
      const rows = bound(sand?.pid ?? 0);
      expect(readFileSync(`/proc/${sand?.pid}/net/dev`, 'utf8')).not.toMatch(/eth|en\d/);
      const on53 = rows.filter(({ port }) => port === PORT).map(({ inode }) => inode);
      expect(on53).toHaveLength(HELD);
      const holding = new Set(socketInodes(run.pid));
      expect(on53.filter((inode) => !holding.has(inode))).toEqual([]);
      for (const { pid } of own)
        expect(socketInodes(pid).filter((inode) => on53.includes(inode))).toEqual([]);
      run.child.stdin?.end('on\n');
      expect(await run.ended(APPLE_MS)).toBe(0);
      expect(run.stderr()).not.toMatch(/ {2}do: /);
      const events = await world.events();
      // It was sand that answered: the name is on its record, with the reason.
      expect(events).toContainEqual(
        expect.objectContaining({ kind: 'dns', name: 'example.com', verdict: 'deny' }),
      );
      await world.nothingRemains();
    });
  },
);
