/** Emulated guests in machines of their own: one boot for what the ways in and out of it must do. Skipped where the machine's parts are missing. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setEmulator } from './container/emulation.ts';
import { createEmulated, type Emulated, resultOf } from './container-call.ts';
import { missingParts } from './machine/parts.ts';

const missing = missingParts();
const why = missing.length === 0 ? '' : ` (skipped: there is no ${missing.join(', no ')})`;
/** An emulated processor on a busy machine. */
const DEADLINE_MS = 300_000;
const ANSWER_BYTES = 1_000_000;

/** `first`: of two connections the first is read last; `ask`: one connection, and `hangs` where nothing comes. */
const CLIENT = `
import socket, sys
def open():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect('/.sand/a')
    s.sendall(b'x' * 200000)
    s.shutdown(socket.SHUT_WR)
    return s
def count(s):
    total = 0
    while part := s.recv(65536):
        total += len(part)
    return total
try:
    held = [open() for _ in range(20)] if sys.argv[1] == 'many' else []
    print(count(open()), sum(count(s) for s in held))
except TimeoutError:
    print('hangs')
except OSError as error:
    print('cut off')
`;

describe.skipIf(missing.length > 0)(`an emulated guest in a machine of its own${why}`, () => {
  let emulated: Emulated;
  let server: Server;
  const path = () => join(emulated.home, 'a.sock');
  const inGuest = (input: string, ...words: readonly string[]) =>
    emulated.callWith(input, 'exec', '-i', '--', 'guest', ...words);

  async function listen(): Promise<void> {
    rmSync(path(), { force: true });
    server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      socket.resume().on('end', () => socket.end(Buffer.alloc(ANSWER_BYTES)));
    });
    await new Promise<void>((resolve) => server.listen(path(), resolve));
  }

  beforeAll(async () => {
    emulated = createEmulated(DEADLINE_MS);
    setEmulator(emulated.home, { runtime: 'qemu' });
    await listen();
    writeFileSync(join(emulated.home, 'note'), 'outside\n');
    const mounts = [`${path()}:/.sand/a`, `${emulated.home}:/shared:ro`].flatMap((mount) => ['-v', mount]);
    await emulated.boot('guest', '--cap-add', 'SYS_ADMIN', ...mounts);
  }, DEADLINE_MS);
  afterAll(async () => {
    server.close();
    await emulated.end();
  });

  it('passes streams and the status of a process', async () => {
    const { status, stdout, stderr } = await inGuest('given', 'sh', '-c', 'cat; echo no >&2; exit 7');
    expect([status, stdout, stderr]).toEqual([7, 'given', 'no\n']);
  });

  it('shows what is missing, and who killed', async () => {
    expect((await inGuest('', 'not-there')).stderr).toMatch('failed to find target executable not-there');
    expect((await inGuest('', 'sh', '-c', 'kill -9 $$')).status).toBe(137);
  });

  it('has a terminal', async () => {
    const { stdout } = await emulated.call('exec', '-t', '--', 'guest', 'sh', '-c', 'tty; echo $TERM');
    expect(stdout).toBe('/dev/pts/0\r\nxterm\r\n');
  });

  it('cannot write what is shared read-only, whatever its root does', async () => {
    const script = 'mount -o remount,bind,rw /shared || exit 9; cat /shared/note; echo inside >/shared/note';
    const { stdout, stderr } = await inGuest('', 'sh', '-c', script);
    expect(stdout).toBe('outside\n');
    expect(stderr).toMatch('Read-only file system');
    expect(readFileSync(join(emulated.home, 'note'), 'utf8')).toBe('outside\n');
  });

  it(
    'reaches a socket by many connections, of which those that nobody reads hold none up',
    async () => {
      const { stdout } = await inGuest(CLIENT, 'python3', '-', 'many');
      expect(stdout).toBe(`${ANSWER_BYTES} ${20 * ANSWER_BYTES}\n`);
    },
    DEADLINE_MS,
  );

  it(
    'has no way to a socket after one dial that is refused',
    async () => {
      server.close();
      rmSync(path(), { force: true });
      expect((await inGuest(CLIENT, 'python3', '-', 'one')).stdout).toBe('cut off\n');
      await listen();
      expect((await inGuest(CLIENT, 'python3', '-', 'one')).stdout).toBe('hangs\n');
    },
    DEADLINE_MS,
  );

  it(
    'ends with its entrypoint, and what runs in it with 255',
    async () => {
      const child = emulated.begin('exec', '--', 'guest', 'sh', '-c', 'echo up; exec sleep 1000');
      const running = resultOf(child, DEADLINE_MS);
      await new Promise((resolve) => child.stdout?.once('data', resolve));
      await emulated.call('stop', '-t', '0', 'guest');
      expect((await running).status).toBe(255);
      expect((await emulated.call('ls', '--quiet')).stdout).toBe('');
    },
    DEADLINE_MS,
  );
});
