/** `sand run --ask`: real clients are held while a person answers, at the run's own terminal or at another one. */

import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../audit/event.ts';
import { follow } from './lifecycle/conditions.ts';
import { NO_TERMINAL, openTerminal, type Terminal } from './lifecycle/terminal-bridge.ts';
import { CALLERS, createWorld, type World } from './sand.ts';

/** The proxy of the host: it resolves names by itself, so that none of them needs an address here. */
let parent: Server;
let reached: string[];
beforeAll(async () => {
  parent = createServer((request, response) => {
    reached.push(request.url ?? '');
    if (request.url?.endsWith('/demo') === true) {
      const versions = { '1.2.3': { name: 'demo', version: '1.2.3', dist: {} } };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ name: 'demo', 'dist-tags': { latest: '1.2.3' }, versions }));
    } else response.end(`hello from ${request.url}\n`);
  });
  parent.listen({ port: 0, host: '127.0.0.1' });
  await once(parent, 'listening');
});
afterAll(() => {
  parent.closeAllConnections();
  parent.close();
});
beforeEach(() => {
  reached = [];
});

describe.skipIf(NO_TERMINAL !== null).each(CALLERS)('a run of the %s that asks', (who) => {
  let world: World;
  let policyPath: string;
  beforeAll(() => {
    world = createWorld(who);
    mkdirSync(join(world.root, 'policies'));
    chmodSync(join(world.root, 'policies'), 0o755);
  });
  afterAll(() => world.remove());
  beforeEach(() => {
    // A file of the caller's own, outside the workspace.
    policyPath = join(world.root, 'config', 'p.yaml');
    writeFileSync(policyPath, 'version: 1\nname: app\nrules:\n  - deny: "**.never.test" # why\n');
    chmodSync(policyPath, 0o666);
  });

  const proxy = () => `http://127.0.0.1:${(parent.address() as AddressInfo).port}`;
  const flags = () => [
    'run',
    '--ask',
    '--policy',
    policyPath,
    '--upstream-proxy',
    proxy(),
    '--dns-upstream',
    '127.0.0.1:9',
  ];
  const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
  /** On a terminal, with the standard input elsewhere. */
  const ask = (script: string): Terminal => {
    const sand = [...world.start([]).spawnargs, ...flags(), '--', 'sh', '-c', script];
    return openTerminal(['sh', '-c', `exec ${sand.map(quote).join(' ')} < /dev/null`], {
      cwd: world.workspace,
      environment: world.environment,
    });
  };
  /** The question is there, and has been for long enough to be answered. */
  const settled = () => new Promise((resolve) => setTimeout(resolve, 500));
  const answers = async () =>
    (await world.events()).filter(
      (event): event is Extract<AuditEvent, { kind: 'answer' }> => event.kind === 'answer',
    );
  const newest = () => readdirSync(join(world.root, 'state/sand/runs')).sort().at(-1) ?? '';
  const curl = (url: string, ...more: readonly string[]) => `curl -sS -m 40 ${more.join(' ')} ${url} 2>&1`;

  it('holds a request until it is answered on the run\u2019s own terminal: once, and asks again', async () => {
    const url = 'http://new.example.test/a';
    const terminal = ask(`${curl(url)}; ${curl(url)}; echo the end`);
    await terminal.shows('wants new.example.test:80 (http)');
    expect(reached).toEqual([]);
    await terminal.shows('> ');
    await settled();
    terminal.type('o\r');
    await terminal.shows(`hello from ${url}`);
    await terminal.shows('before: once, by terminal');
    await settled();
    terminal.type('d\r');
    await terminal.shows('no-rule');
    await terminal.shows('the end');
    expect(await terminal.finished()).toEqual({ code: 0, restored: true });
    expect(await answers()).toMatchObject([
      { host: 'new.example.test', port: 80, protocol: 'http', answer: 'once', by: 'terminal', waiting: 1 },
      { answer: 'deny', by: 'terminal' },
    ]);
    const events = await world.events();
    expect(events).toContainEqual(
      expect.objectContaining({
        kind: 'connection',
        disposition: 'forwarded',
        rule: expect.objectContaining({ id: 'ask/allow:new.example.test:80', file: '--ask' }),
      }),
    );
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'connection', detail: 'asked: deny, by terminal' }),
    );
    expect(reached).toEqual([url]);
  });

  it('asks a client that uses no proxy for the name first, and not again for what follows', async () => {
    const terminal = ask(`${curl('http://direct.example.test/x', '--noproxy', "'*'")}; echo the end`);
    await terminal.shows('wants direct.example.test (looked up');
    await terminal.shows('> ');
    await settled();
    terminal.type('o\r');
    await terminal.shows('hello from http://direct.example.test/x');
    await terminal.shows('the end');
    await terminal.finished();
    expect(await answers()).toMatchObject([{ host: 'direct.example.test', port: null, answer: 'once' }]);
  });

  it('writes the line into the policy file, comments kept, and asks no more', async () => {
    const url = 'http://written.example.test/';
    const terminal = ask(`${curl(url)}; ${curl(url)}; echo the end`);
    await terminal.shows('[w]rite a line to');
    await terminal.shows('> ');
    await settled();
    terminal.type('w\r');
    await terminal.shows('hello from');
    await terminal.shows('hello from');
    await terminal.shows('the end');
    await terminal.finished();
    expect(readFileSync(policyPath, 'utf8')).toBe(
      'version: 1\nname: app\nrules:\n  - deny: "**.never.test" # why\n  - allow: written.example.test\n    http: [80]\n',
    );
    expect(await answers()).toMatchObject([{ answer: 'write', by: 'terminal' }]);
  });

  it('is never asked about what a deny rule decides, and does not hold what is decided', async () => {
    const terminal = ask(
      `${curl('http://a.never.test/')}; (${curl('http://slow.example.test/')} > slow) & sleep 1; ${curl('http://b.never.test/')}; echo before; wait; cat slow`,
    );
    await terminal.shows('wants slow.example.test:80');
    // While the question stands on the terminal, the other request is decided.
    const deadline = performance.now() + 20_000;
    while (
      !(await world.events()).some((event) => event.kind === 'connection' && event.host === 'b.never.test')
    ) {
      if (performance.now() > deadline) throw new Error('the other request was held');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await settled();
    terminal.type('r\r');
    await terminal.shows('before');
    await terminal.shows('hello from http://slow.example.test/');
    await terminal.finished();
    expect(await answers()).toHaveLength(1);
  });

  it('shows nothing of the guest beside a question, and gives it no way to the keys', async () => {
    const terminal = ask(
      `(${curl('http://fake.example.test/')} > /dev/null); (sleep 0.3; printf '\\033[2Jsand: evil\\n[o]nce > ') & ${curl('http://real.example.test/')}; wait; test -t 1 || echo no terminal; (read x < /dev/tty) 2>&1`,
    );
    await terminal.shows('wants fake.example.test:80');
    await settled();
    terminal.type('d\r');
    await terminal.shows('wants real.example.test:80');
    await settled();
    terminal.type('n\r');
    await terminal.shows('sand: evil');
    await terminal.shows('no terminal');
    await terminal.finished();
    expect((await answers()).map(({ host, answer }) => [host, answer])).toEqual([
      ['fake.example.test', 'deny'],
      ['real.example.test', 'never'],
    ]);
  });

  it('leaves a full-screen guest its terminal, and is answered from another one', async () => {
    const script = `stty raw -echo; printf 'full screen'; ${curl('http://screen.example.test/')}; stty sane; read key; echo "key=$key"`;
    const guest = openTerminal([...world.start([]).spawnargs, ...flags(), '--', 'sh', '-c', script], {
      cwd: world.workspace,
      environment: world.environment,
    });
    await guest.shows('in another terminal, with: sand ask');
    await guest.shows('full screen');
    const other = openTerminal([...world.start([]).spawnargs, 'ask', newest()], {
      cwd: world.workspace,
      environment: world.environment,
    });
    await other.shows('wants screen.example.test:80');
    await other.shows('> ');
    expect(guest.stdout()).not.toContain('wants');
    await settled();
    other.type('x\n');
    await other.shows('o, r, w, d or n > ');
    other.type('run\n');
    await guest.shows('hello from http://screen.example.test/');
    guest.type('k\n');
    await guest.shows('key=k');
    expect(await guest.finished()).toMatchObject({ code: 0, restored: true });
    await other.shows('the run has ended');
    expect(await other.finished()).toMatchObject({ code: 0 });
    expect(await answers()).toMatchObject([{ answer: 'run', by: 'control' }]);
  });

  it('holds npm, a real client with retries of its own, and lets it go on', async () => {
    const run = follow(
      world.start([
        ...flags(),
        '--',
        'npm',
        'view',
        'demo',
        'version',
        '--registry',
        'http://registry.example.test/',
      ]),
    );
    await run.printed('sand ask');
    const other = world.start(['ask', newest()]);
    const asked = follow(other);
    await asked.printed('wants registry.example.test:80');
    other.stdin?.write('run\n');
    expect(await run.ended()).toBe(0);
    expect(run.stdout()).toContain('1.2.3');
    await asked.ended();
    expect(await answers()).toMatchObject([{ host: 'registry.example.test', answer: 'run', by: 'control' }]);
  });

  it('denies at once in CI, and says so', async () => {
    const run = await world.sand([...flags(), '--', 'sh', '-c', curl('http://ci.example.test/')], {
      environment: { CI: 'true' },
    });
    expect(run.stdout).toContain('no-rule');
    expect(run.stderr).toContain('asks nobody in CI');
    expect(await answers()).toEqual([]);
  });
});
