/** A guest goes through the phases of its policy: what it may reach in each, what is cut, and that only the host moves it on. */
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { follow } from './lifecycle/conditions.ts';
import { ALLOWED, createOrigins, DENIED, type Origins } from './origins.ts';
import { CALLERS, createWorld, type World } from './sand.ts';

let origins: Origins;
beforeAll(async () => {
  origins = await createOrigins();
});
afterAll(() => origins.close());

/** `setup` reaches one name and a raw port, `run` the other name. */
function policyText(): string {
  const web = (name: string) =>
    `      - {allow: ${name}, http: [${origins.httpPort}], addresses: [127.0.0.0/8]}\n`;
  const raw = `      - {allow: raw.origin.test, tcp: [${origins.tcpPort}], addresses: [127.0.0.0/8]}\n`;
  return `version: 1\nname: app\nphases:\n  setup:\n    rules:\n${web(ALLOWED)}${raw}  run:\n    rules:\n${web(DENIED)}`;
}

/** Everything in a guest that could lead to the socket of its run; prints one JSON object. */
const SEARCH = `import glob, json, os, signal, socket, sys
given = json.loads(sys.argv[1])
def attempt(path):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(path); s.send(b'{"do":"phase-next"}\\n'); return s.recv(99).decode()
    except OSError as error: return type(error).__name__
def target(path):
    try: return os.readlink(path)
    except OSError: return ''
found = []
for folder, _, names in os.walk('/'):
    if folder.startswith(('/proc', '/sys')): continue
    found += [os.path.join(folder, name) for name in names if name == 'control.sock']
fds = [path for path in glob.glob('/proc/[0-9]*/fd/*') if 'socket' in target(path)]
for pid in [int(p) for p in os.listdir('/proc') if p.isdigit()]:
    for name in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        if pid != os.getpid():
            try: os.kill(pid, 0)
            except OSError: pass
print(json.dumps({
    'found': found,
    'named': attempt(given['socket']),
    'abstract': attempt('\\0' + given['socket']),
    'unix': [line.split()[-1] for line in open('/proc/net/unix') if 'control' in line],
    'environment': [name for name, value in os.environ.items() if given['runs'] in value or 'control' in value.lower()],
    'state': os.path.exists(given['runs']),
}), flush=True)`;

describe.each(CALLERS)('a guest of the %s in phases', (who) => {
  let world: World;
  let policyPath: string;
  beforeAll(() => {
    world = createWorld(who);
    const folder = join(world.root, 'policies');
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    policyPath = join(folder, 'p.yaml');
    writeFileSync(policyPath, policyText());
  });
  afterAll(() => world.remove());

  const flags = () => ['--policy', policyPath, '--dns-upstream', `127.0.0.1:${origins.dnsPort}`];
  const ask = (name: string) => `curl -sS -m 5 http://${name}:${origins.httpPort}/ 2>&1`;
  const both = () => `${ask(ALLOWED)}; ${ask(DENIED)}`;
  const runs = () => join(world.root, 'state/sand/runs');
  const noted = async (code: string) => {
    const deadline = performance.now() + 20_000;
    while (!(await world.events()).some((event) => event.kind === 'notice' && event.code === code)) {
      if (performance.now() > deadline) throw new Error(`no notice ${code}`);
      await delay(50);
    }
  };
  const newest = () => readdirSync(runs()).sort().at(-1) ?? '';

  it('has in each command what its phase allows, and the same workspace', async () => {
    const run = await world.sand([
      'run',
      ...flags(),
      '--phase-after',
      `{ ${both()}; } > first; echo one > left`,
      '--',
      'sh',
      '-c',
      `cat first; echo; echo ---; ${both()}; cat left`,
    ]);
    expect(run.code).toBe(0);
    const [first = '', second = ''] = run.stdout.split('---');
    expect(first).toContain(`hello from ${ALLOWED}`);
    expect(first).toContain('no-rule');
    expect(first).not.toContain(`hello from ${DENIED}`);
    expect(second).toContain(`hello from ${DENIED}`);
    expect(second).not.toContain(`hello from ${ALLOWED}`);
    expect(second).toContain('one');
    const events = await world.events();
    const digests = events.flatMap((event) =>
      event.kind === 'connection' && event.disposition === 'forwarded' ? [event.policy] : [],
    );
    expect(new Set(digests).size).toBe(2);
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'phase', phase: 'run', by: 'command', policy: digests[1] }),
    );
    expect((await world.sand(['audit'])).stdout).toMatch(/phases +setup, run \(from \d\d:/);
  });

  it('whose set-up fails ends there with its code', async () => {
    const run = await world.sand(['run', ...flags(), '--phase-after', 'exit 9', '--', 'echo', 'never']);
    expect(run).toMatchObject({ code: 9, stdout: '' });
    expect((await world.events()).some(({ kind }) => kind === 'phase')).toBe(false);
  });

  it('is refused more set-ups than its policy has phases to end', async () => {
    const run = await world.sand([
      'run',
      ...flags(),
      '--phase-after',
      'a',
      '--phase-after',
      'b',
      '--',
      'true',
    ]);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain('at most 1 times');
  });

  it('that the host moves on loses an open tunnel and the meaning of old DNS answers at once', async () => {
    const script = `import socket, time, urllib.request
address = socket.gethostbyname('raw.origin.test')
tunnel = socket.create_connection((address, ${origins.tcpPort}), 5)
tunnel.sendall(b'hi'); print(tunnel.recv(99).decode(), flush=True)
print('ready', flush=True)
tunnel.settimeout(30)
try: end = 'eof' if tunnel.recv(99) == b'' else 'bytes'
except ConnectionResetError: end = 'reset'
print('tunnel', end, time.time(), flush=True)
again = socket.create_connection((address, ${origins.tcpPort}), 5)
try:
    again.sendall(b'hi'); print('again', again.recv(99), flush=True)
except OSError as error: print('again', type(error).__name__, flush=True)
try: print(socket.gethostbyname('raw.origin.test'))
except OSError as error: print('name', type(error).__name__, flush=True)`;
    const run = follow(world.start(['run', ...flags(), '--', '/usr/bin/python3', '-c', script]));
    await run.printed('ready');
    expect(JSON.parse((await world.sand(['phase', 'show', '--json'])).stdout)).toMatchObject({
      alive: true,
      phase: 'setup',
      next: 'run',
    });
    const moved = await world.sand(['phase', 'next', newest()]);
    expect(moved).toMatchObject({ code: 0, stdout: expect.stringContaining('[run], the last') });
    expect(await run.ended()).toBe(0);
    expect(run.stdout()).toMatch(/echo hi\nready\ntunnel (eof|reset)/);
    expect(run.stdout()).toMatch(/again (b''|ConnectionResetError)\nname gaierror/);
    const events = await world.events();
    const at = events.findIndex(({ kind }) => kind === 'phase');
    expect(events[at]).toMatchObject({ phase: 'run', by: 'control' });
    // In the same turn, so nothing stands between the two.
    const cut = events[at + 1];
    expect(cut).toMatchObject({ kind: 'close', host: 'raw.origin.test', reason: 'policy-changed' });
    expect(events.slice(at)).toContainEqual(
      expect.objectContaining({
        kind: 'connection',
        verdict: 'deny',
        host: 'raw.origin.test',
        reason: 'no-rule',
      }),
    );
    expect((await world.sand(['inspect'])).stdout).toMatch(/phase +run/);
  });

  it('is not moved on twice from the last phase, nor when it has ended', async () => {
    const run = follow(world.start(['run', ...flags(), '--', 'sh', '-c', 'echo ready; read x']));
    await run.printed('ready');
    const id = newest();
    expect((await world.sand(['phase', 'next', id])).code).toBe(0);
    const again = await world.sand(['phase', 'next', id]);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('phase-last') });
    run.child.stdin?.end('\n');
    await run.ended();
    const late = await world.sand(['phase', 'next', id]);
    expect(late).toMatchObject({ code: 2, stderr: expect.stringContaining('control-missing') });
  });

  it('cannot move itself on: no socket in reach, no descriptor, no variable, no signal', async () => {
    const given = (id: string) => JSON.stringify({ runs: runs(), socket: join(runs(), id, 'control.sock') });
    const run = follow(
      world.start([
        'run',
        ...flags(),
        '--',
        'sh',
        '-c',
        `echo ready; read given; python3 -c '${SEARCH.replaceAll("'", "'\\''")}' "$given"; read x`,
      ]),
    );
    await run.printed('ready');
    // It is there for the host while the guest looks.
    expect(readdirSync(join(runs(), newest()))).toContain('control.sock');
    run.child.stdin?.write(`${given(newest())}\n`);
    await run.printed('"state"');
    const { named, abstract, ...rest } = JSON.parse(run.stdout().split('\n')[1] ?? '') as Record<
      string,
      unknown
    >;
    expect(rest).toEqual({ found: [], unix: [], environment: [], state: false });
    expect(named).toMatch(/Error$/);
    expect(abstract).toMatch(/Error$/);
    expect(JSON.parse((await world.sand(['phase', 'show', '--json'])).stdout)).toMatchObject({
      phase: 'setup',
    });
    run.child.stdin?.end('\n');
    await run.ended();
  });

  it('keeps its phase when the policy changes, and gets no other order of phases', async () => {
    const run = follow(
      world.start(['run', ...flags(), '--phase-after', 'true', '--', 'sh', '-c', 'echo ready; read x']),
    );
    await run.printed('ready');
    writeFileSync(policyPath, policyText().replace(DENIED, 'other.origin.test'));
    await noted('policy-reloaded');
    expect(JSON.parse((await world.sand(['phase', 'show', '--json'])).stdout)).toMatchObject({
      phase: 'run',
    });
    const [setup = '', other = ''] = policyText().split('  run:\n');
    writeFileSync(policyPath, `${setup.replace('setup:', 'begin:')}  run:\n${other}`);
    await noted('policy-reload-refused');
    writeFileSync(policyPath, policyText());
    run.child.stdin?.end('\n');
    await run.ended();
  });
});
