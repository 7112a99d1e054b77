/**
 * Which process of a guest asked, in the real log: ordinary clients, and guests that hide, crowd, lie about their command
 * lines, or pass their sockets on.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEvent, ProcessFact } from '../../audit/event.ts';
import { CALLERS, createWorld, type World } from './sand.ts';

/** Every name is refused at once; what counts is who is said to have asked. Each case is a process of its own. */
const GUEST = String.raw`
import ctypes, os, socket, struct, subprocess, sys, time

def ask(name, sock=None):
    s = sock or socket.create_connection(('198.18.0.1', 3128))
    s.sendall(b'GET http://%s/ HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' % (name, name))
    while s.recv(4096): pass

def case(name, act):
    pid = os.fork()
    if pid == 0:
        try: act()
        finally: os._exit(0)
    os.waitpid(pid, 0)
    print(name, pid, flush=True)

def undumpable():
    ctypes.CDLL(None).prctl(4, 0)
    ask(b'undumpable.example')

def renamed():
    os.execv(sys.executable, ['npm', '-c', '''
import socket
s = socket.create_connection(('198.18.0.1', 3128))
s.sendall(b'GET http://renamed.example/ HTTP/1.1\\r\\nHost: renamed.example\\r\\n\\r\\n')
s.recv(1)
''', '\x1b[2J\u202e', '--token', 'hunter2hunter2'])

def gone():
    s = socket.create_connection(('198.18.0.1', 3128))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))

def passed():
    left, right = socket.socketpair()
    if os.fork() == 0:
        _, fds, _, _ = socket.recv_fds(right, 1, 1)
        ask(b'passed.example', socket.socket(fileno=fds[0]))
        os._exit(0)
    s = socket.create_connection(('198.18.0.1', 3128))
    socket.send_fds(left, [b'x'], [s.fileno()])
    s.close()
    os.wait()

def crowd():
    children = [subprocess.Popen(['sleep', '100']) for _ in range(150)]
    files = [open('/dev/null') for _ in range(400)]
    ask(b'crowd.example')
    for child in children: child.kill()

def dns():
    try: socket.getaddrinfo('udp.example', 443)
    except OSError: pass
    query = b'\0\1\1\0\0\1\0\0\0\0\0\0\3tcp\7example\0\0\1\0\1'
    s = socket.create_connection(('198.18.0.1', 53))
    s.sendall(struct.pack('>H', len(query)) + query)
    s.recv(1)

def kept():
    s = socket.create_connection(('198.18.0.1', 3128))
    for name in [b'kept1.example', b'kept2.example']:
        s.sendall(b'GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n' % (name, name))
        s.recv(4096)

def transparent():
    s = socket.socket()
    try:
        s.connect(('192.0.2.7', 443)); s.send(b'hello\n'); s.recv(1)
    except OSError: pass

for name, act in dict(plain=lambda: ask(b'plain.example'), undumpable=undumpable, renamed=renamed, gone=gone,
                      passed=passed, crowd=crowd, dns=dns, kept=kept, transparent=transparent).items():
    case(name, act)
`;

describe.each(CALLERS)('who asked, as %s', (who) => {
  let world: World;
  let pids: ReadonlyMap<string, number>;
  let events: readonly AuditEvent[];

  beforeAll(async () => {
    world = createWorld(who);
    world.file('guest.py', GUEST);
    const run = await world.sand(['run', '--policy', 'strict', '--', 'python3', 'guest.py']);
    expect(run.code, run.stderr).toBe(0);
    pids = new Map(
      run.stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' '))
        .map(([name = '', pid]) => [name, Number(pid)]),
    );
    events = await world.events();
  });
  afterAll(() => world.remove());

  const opener = (host: string): ProcessFact | undefined => {
    const found = events.find(
      (event) =>
        (event.kind === 'connection' && event.host === host) || (event.kind === 'dns' && event.name === host),
    );
    expect(found, host).toBeDefined();
    return found?.kind === 'connection' || found?.kind === 'dns' ? found.process : undefined;
  };

  it('says at the start that it tells', () => {
    expect(events[0]).toMatchObject({ kind: 'run-start', attribution: 'process' });
    expect(events.filter(({ kind }) => kind === 'notice')).toEqual([]);
  });

  it('names the process, by the guest\u2019s own number', () => {
    expect(opener('plain.example')).toEqual({
      pid: pids.get('plain'),
      command: expect.stringMatching(/^python3 /),
    });
  });

  it('names it for each request of a connection that is kept', () => {
    for (const host of ['kept1.example', 'kept2.example']) expect(opener(host)?.pid).toBe(pids.get('kept'));
  });

  it('names it for streams without a proxy, and for questions over UDP and TCP', () => {
    expect(opener('192.0.2.7')?.pid).toBe(pids.get('transparent'));
    for (const host of ['udp.example', 'tcp.example']) expect(opener(host)?.pid).toBe(pids.get('dns'));
  });

  it('names one that is not dumpable, where sand runs as root; an ordinary user sees nothing of its descriptors', () => {
    const isRoot = who === 'caller' && process.getuid?.() === 0;
    expect(opener('undumpable.example')?.pid).toBe(isRoot ? pids.get('undumpable') : undefined);
  });

  it('names one among many processes and descriptors', () => {
    expect(opener('crowd.example')?.pid).toBe(pids.get('crowd'));
  });

  it('names who opened a socket or holds it, and nobody else, where it is passed on', () => {
    const { pid } = opener('passed.example') ?? { pid: undefined };
    // The child of the case is the next process after it.
    const passed = pids.get('passed') ?? 0;
    if (pid !== undefined) expect([passed, passed + 1]).toContain(pid);
  });

  it('takes a command line as the guest\u2019s word, without its secrets, and escaped', async () => {
    const { pid, command } = opener('renamed.example') ?? { pid: 0, command: '' };
    expect(pid).toBe(pids.get('renamed'));
    expect(command).toMatch(/^npm -c /);
    expect(command).not.toContain('hunter2');
    const { stdout } = await world.sand(['audit', 'tail', '--no-follow']);
    expect(stdout).not.toMatch(/\u001b|\u202e/);
  });

  it('never counts for anything but the log: the chain holds, and the run ended well', async () => {
    expect((await world.sand(['audit', 'verify'])).code).toBe(0);
  });
});
