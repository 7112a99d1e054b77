/** The script that guests of macOS are given, run by this machine's own Perl as an ordinary user, against listeners of the test's. */
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NamedObservations, parseNamedProbe } from '../../../controller/links/relay/named-attempts.ts';
import { guestProgram } from '../../../controller/verify/guest-program.ts';

/** Never root: that would try what only a guest may. */
const ORDINARY = process.getuid?.() === 0 ? { uid: 54_321, gid: 54_321 } : {};
const DEADLINE_MS = 60_000;

let folder: string;
const servers: Server[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'probe-script-'));
  chmodSync(folder, 0o777);
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function printed(lines: readonly string[], environment: Record<string, string> = {}): Promise<string> {
  const program = guestProgram('macos');
  for (const { name, content, mode } of program.files([]))
    writeFileSync(join(folder, name), content, { mode });
  writeFileSync(join(folder, 'attempts'), lines.map((line) => `${line}\n`).join(''));
  const [perl = '', ...args] = program.command(folder);
  const child = spawn(perl, args, {
    ...ORDINARY,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', ...environment },
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: DEADLINE_MS,
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  await once(child, 'close');
  return text;
}

async function probe(
  lines: readonly string[],
  environment: Record<string, string> = {},
): Promise<NamedObservations> {
  const text = await printed(lines, environment);
  const seen = parseNamedProbe(text);
  if (seen === null) throw new Error(`it does not read: ${text}`);
  return seen;
}

async function serve(answer: (heard: string) => string | null): Promise<number> {
  const server = createServer((client) => {
    client.on('error', () => {});
    const greeting = answer('');
    if (greeting !== null) client.end(greeting);
    client.on('data', (chunk) => client.end(answer(chunk.toString()) ?? ''));
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const place = server.address();
  return typeof place === 'object' && place !== null ? place.port : 0;
}

async function freePort(): Promise<number> {
  const port = await serve(() => null);
  const server = servers.pop();
  server?.close();
  if (server !== undefined) await once(server, 'close');
  return port;
}

describe('the script for guests of macOS', { timeout: DEADLINE_MS + 5_000 }, () => {
  it('uses no module that a Perl without any more lacks', () => {
    const [script] = guestProgram('macos').files([]);
    const used = [...String(script?.content).matchAll(/^use (\w+)/gm)].map(([, name]) => name);
    expect(new Set(used)).toEqual(
      new Set(['strict', 'warnings', 'Cwd', 'Errno', 'Fcntl', 'POSIX', 'Socket']),
    );
  });

  it('tells who answers a connection, and with what, in one line whatever that is', async () => {
    const hostile = await serve(() => '\u001b[2J\\\u0000as evil try root ok\nas evil try root ok\nend\n');
    const silent = await serve((heard) => (heard === '' ? null : ''));
    const echoing = await serve((heard) => (heard === '' ? null : `heard ${heard}\n`));
    const seen = await probe(
      [
        `as a tcp 127.0.0.1 ${await freePort()}`,
        `as b tcp 127.0.0.1 ${hostile}`,
        `as c tcp 127.0.0.1 ${silent}`,
        `as d send 127.0.0.1 ${echoing} ${Buffer.from('said').toString('hex')}`,
        `as e send proxy 0 ${Buffer.from('by it').toString('hex')}`,
      ],
      { http_proxy: `http://127.0.0.1:${echoing}` },
    );
    expect(seen.get('a')).toMatchObject([{ outcome: 'nobody' }]);
    expect(seen.get('b')).toMatchObject([
      { outcome: 'answered', answer: '\\x1b[2J\\x5c\\x00as evil try root ok' },
    ]);
    expect(seen.get('c')).toMatchObject([{ outcome: 'silent' }]);
    expect(seen.get('d')).toMatchObject([{ outcome: 'answered', answer: 'heard said' }]);
    expect(seen.get('e')).toMatchObject([{ outcome: 'answered', answer: 'heard by it' }]);
    expect([...seen.keys()].toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('says by Linux\u2019s numbers how an attempt failed, and `ok` where it worked', async () => {
    const socket = createSocket('udp4');
    socket.on('message', (_, { port, address }) => socket.send('x', port, address));
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    writeFileSync(join(folder, 'secret'), 'the word\n');
    writeFileSync(join(folder, 'mine'), 'as it was\n');
    chmodSync(join(folder, 'mine'), 0o666);
    try {
      const seen = await probe(
        [
          `as udp-answered try udp-to 127.0.0.1 ${socket.address().port}`,
          `as udp-refused try udp-to 127.0.0.1 ${await freePort()}`,
          `as unix-absent try unix ${folder}/none`,
          `as holds try holds ${folder}/secret word`,
          `as holds-not try holds ${folder}/secret another`,
          `as read-absent try read ${folder}/none`,
          `as write-denied try write ${folder}/secret`,
          `as overwrite try overwrite ${folder}/mine`,
          `as rename try rename ${folder}/mine`,
          'as environment try environment given-to-it',
          'as environment-not try environment of-nobody',
        ],
        { GIVEN: 'given-to-it' },
      );
      const told = Object.fromEntries(
        [...seen].map(([id, [one]]) => [id, one?.kind === 'try' ? [one.outcome, one.errno] : one]),
      );
      expect(told).toEqual({
        'udp-answered': ['worked', 0],
        'udp-refused': ['failed', 111],
        'unix-absent': ['failed', 2],
        holds: ['worked', 0],
        'holds-not': ['failed', 126],
        'read-absent': ['failed', 2],
        'write-denied': ORDINARY.uid === undefined ? ['worked', 0] : ['failed', 13],
        overwrite: ['worked', 0],
        rename: ['worked', 0],
        environment: ['worked', 0],
        'environment-not': ['failed', 126],
      });
      expect(readFileSync(join(folder, 'mine'), 'utf8')).toBe('written by the guest\n');
    } finally {
      socket.close();
    }
  });

  it('serves its word, and tells whether anybody else came', async () => {
    const [alone, visited] = [await freePort(), await freePort()];
    const visitor = setInterval(() => {
      connect(visited, '127.0.0.1')
        .on('error', () => {})
        .resume();
    }, 50);
    try {
      const seen = await probe([`as alone try serve ${alone} word`, `as visited try serve ${visited} word`]);
      expect(seen.get('alone')).toMatchObject([{ outcome: 'failed', errno: 107 }]);
      // A visitor can also come before its own connection, which then finds no word of its own.
      expect(seen.get('visited')).not.toMatchObject([{ errno: 107 }]);
    } finally {
      clearInterval(visitor);
    }
  });

  it('says of what is root\u2019s that it could not be tried, where it may not become root', async () => {
    const names = [
      'root',
      'root-ping 192.0.2.9',
      'root-frame 00 0=00',
      'root-write /etc/passwd',
      'root-widen /x y',
    ];
    const seen = await probe(names.map((name, at) => `as r${at} try ${name}`));
    expect([...seen.values()].flat()).toMatchObject(names.map(() => ({ outcome: 'failed', errno: 38 })));
  });

  it('says nothing of what it does not know, and ends all the same', async () => {
    const seen = await probe(['as a try no-such-thing', 'as b read /etc/passwd', 'nonsense', 'as c try']);
    expect([...seen]).toEqual([]);
    expect(await printed([])).toBe('end\n');
  });

  it('ends an attempt that hangs, and says so, and waits for no other because of it', async () => {
    execFileSync('mkfifo', ['-m', '666', join(folder, 'pipe')]);
    const seen = await probe([`as hung try overwrite ${folder}/pipe`, 'as other try read /etc/passwd']);
    expect(seen.get('hung')).toMatchObject([{ outcome: 'timeout' }]);
    expect(seen.get('other')).toMatchObject([{ outcome: 'worked' }]);
  });
});
