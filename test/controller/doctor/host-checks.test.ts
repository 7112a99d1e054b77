import { createSocket } from 'node:dgram';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkCertificates } from '../../../controller/doctor/certificates.ts';
import { judgeClock } from '../../../controller/doctor/clock.ts';
import {
  checkDnsPort,
  findInodes,
  type PortWorld,
  type ProcWorld,
  parseSocketTable,
  procPorts,
} from '../../../controller/doctor/dns-port.ts';
import {
  checkLogDirectory,
  type FolderFacts,
  judgeLogDirectory,
} from '../../../controller/doctor/log-directory.ts';
import { checkLoopbackPort } from '../../../controller/doctor/loopback-port.ts';
import { judgeNode, NODE_FLOOR } from '../../../controller/doctor/node-version.ts';
import {
  askResolver,
  checkResolvers,
  namedByScutil,
  namedInConf,
} from '../../../controller/doctor/resolvers.ts';
import type { Opened } from '../../../dns/bind.ts';

describe('Node', () => {
  it.each([
    ['24.0.0', 'ok'],
    ['26.1.0', 'ok'],
    ['23.11.0', 'failed'],
    ['9.0.0', 'failed'],
    ['', 'failed'],
    ['garbage', 'failed'],
  ])('%s is %s', (version, state) => {
    expect(judgeNode(version).state).toBe(state);
  });

  it('has the floor of package.json', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
    expect(manifest.engines.node).toBe(`>=${NODE_FLOOR}`);
  });
});

describe('resolvers', () => {
  const answers = async () => null;

  it('are those of resolv.conf', async () => {
    const readConf = () => 'nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch corp.example\n';
    expect(await checkResolvers({ named: () => namedInConf(readConf()), ask: answers })).toMatchObject([
      { state: 'ok', message: '192.0.2.53, 2001:db8::53' },
    ]);
  });

  it.each([
    ['names none', () => '# generated\n'],
    ['cannot be read', () => null],
  ])('warn where resolv.conf %s', async (what, readConf) => {
    const [finding] = await checkResolvers({ named: () => namedInConf(readConf()), ask: answers });
    expect(finding).toMatchObject({ state: 'warning' });
    expect(finding?.message).toContain(what);
  });

  it('are on a Mac those of scutil, the usual ones and those of domains', async () => {
    const text = `DNS configuration

resolver #1
  nameserver[0] : 192.0.2.53
  reach    : 0x00000002 (Reachable)
  order    : 200000

resolver #2
  domain   : corp.example
  nameserver[0] : 198.51.100.53
  flags    : Supplemental, Request A records
`;
    const check = (found: string | null) =>
      checkResolvers({ named: () => namedByScutil(found), ask: answers });
    expect(await check(text)).toMatchObject([
      { state: 'ok', message: '192.0.2.53, and others for 1 domain' },
    ]);
    expect(await check('No DNS configuration available\n')).toMatchObject([
      { state: 'warning', message: 'scutil --dns names none for every name: no name can be looked up' },
    ]);
    expect(await check(null)).toMatchObject([{ state: 'warning' }]);
  });

  it('warn where the first gives no answer', async () => {
    const readConf = () => 'nameserver 192.0.2.53\n';
    const [finding] = await checkResolvers({
      named: () => namedInConf(readConf()),
      ask: async () => 'ETIMEOUT',
    });
    expect(finding).toMatchObject({ state: 'warning' });
    expect(finding?.message).toContain('192.0.2.53: the first gave no answer');
  });

  it('are asked over UDP: a refusal is an answer, a closed port is silence', async () => {
    const server = createSocket('udp4');
    await new Promise<void>((resolve) => server.bind({ address: '127.0.0.1', port: 0 }, resolve));
    server.on('message', (query, from) => {
      const answer = Buffer.from(query);
      // QR and RD; rcode REFUSED.
      answer.writeUInt16BE(0x8105, 2);
      server.send(answer, from.port, from.address);
    });
    const { port } = server.address();
    expect(await askResolver('127.0.0.1', port)).toBeNull();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    expect(await askResolver('127.0.0.1', port)).toBe('ECONNREFUSED');
  });
});

const HEAD =
  '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n';
const UDP = `${HEAD}  432: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 20411 2 0000000000000000 0\n`;
const TCP = `${HEAD}   0: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 20412 1 0000000000000000 100 0 0 10 5
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0000000000000000 100 0 0 10 0
   2: 0100007F:0035 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000     0        0 778 1 0000000000000000 100 0 0 10 0\n`;
const TCP6 = `${HEAD}   0: 0000000000000000FFFF00003500007F:0035 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 31 1
   1: B80D0120000000000000000053000000:0035 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 32 1\n`;

describe('port 53', () => {
  const world = (
    tables: Readonly<Record<string, string>>,
    findInodes: ProcWorld['findInodes'] = () => new Map(),
  ): PortWorld => procPorts({ readTable: (table) => tables[table] ?? '', findInodes });

  it('is read from the kernel’s tables: listeners only, both families', () => {
    expect(parseSocketTable('udp', UDP)).toEqual([
      { transport: 'udp', address: '127.0.0.53', port: 53, inode: 20411 },
    ]);
    expect(parseSocketTable('tcp', TCP).map(({ address, port }) => `${address}:${port}`)).toEqual([
      '127.0.0.53:53',
      '127.0.0.1:8080',
    ]);
    expect(parseSocketTable('tcp', TCP6).at(-1)).toMatchObject({
      address: '2001:db8::53',
      port: 53,
      inode: 32,
    });
  });

  it('names who holds it, and is never a failure', () => {
    const resolved = { name: 'systemd-resolve', pid: 612 };
    const finding = checkDnsPort(
      world(
        { udp: UDP, tcp: TCP },
        () =>
          new Map([
            [20411, resolved],
            [20412, resolved],
          ]),
      ),
    );
    expect(finding).toMatchObject({
      state: 'ok',
      message: 'is held by systemd-resolve (pid 612) on udp 127.0.0.53, tcp 127.0.0.53; sand never needs it',
    });
  });

  it('says so where the holder cannot be seen, where nobody is, and where there is no /proc', () => {
    expect(checkDnsPort(world({ udp: UDP })).message).toMatch(
      /a process that is not visible on udp 127\.0\.0\.53/,
    );
    expect(checkDnsPort(world({ udp: HEAD })).message).toBe('is free; sand never needs it');
    expect(checkDnsPort(world({}))).toMatchObject({
      state: 'ok',
      message: 'cannot be looked up here; sand never needs it',
    });
  });

  it('survives any table', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.array(fc.stringMatching(/^[0-9A-F]{1,40}:[0-9A-F]{1,5}$/)),
        (text, cells) => {
          parseSocketTable('tcp', text);
          parseSocketTable('udp', cells.map((cell) => `0: ${cell} ${cell} 07 a b c d e ${text}`).join('\n'));
        },
      ),
    );
  });

  it.skipIf(!existsSync('/proc/self/fd'))('is traced to a process through its descriptors', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const place = server.address();
    const port = typeof place === 'object' && place !== null ? place.port : 0;
    const own = parseSocketTable('tcp', readFileSync('/proc/net/tcp', 'utf8')).find(
      (listener) => listener.port === port,
    );
    const inode = own?.inode ?? 0;
    expect(findInodes(new Set([inode])).get(inode)?.pid).toBe(process.pid);
    server.close();
  });
});

describe('the loopback port', () => {
  it('can be had on this machine', async () => {
    expect(await checkLoopbackPort()).toMatchObject({ state: 'ok' });
  });

  /** An opener that counts what is open; closing twice is an error, as it is for a socket. */
  const counted = (open: Set<object>) => async (): Promise<Opened> => {
    const socket = {};
    open.add(socket);
    const close = () => {
      if (!open.delete(socket)) throw new Error('closed twice');
    };
    return { ok: true, address: '127.0.0.1', port: 40_000, close };
  };

  it('is given back at once', async () => {
    const open = new Set<object>();
    expect(await checkLoopbackPort({ datagram: counted(open), stream: counted(open) })).toMatchObject({
      state: 'ok',
    });
    expect(open.size).toBe(0);
  });

  it('is a failure where none can be bound, and everything that was opened is closed', async () => {
    const open = new Set<object>();
    const stream = async (): Promise<Opened> => ({ ok: false, inUse: true, detail: 'address in use' });
    const finding = await checkLoopbackPort({ datagram: counted(open), stream });
    expect(finding).toMatchObject({ state: 'failed' });
    expect(finding.message).toContain('address in use');
    expect(open.size).toBe(0);
  });

  it('is never a port of another resolver', async () => {
    const at = async (): Promise<Opened> => ({ ok: true, address: '127.0.0.1', port: 5353, close: () => {} });
    expect(await checkLoopbackPort({ datagram: at, stream: at })).toMatchObject({ state: 'failed' });
  });
});

describe('the log directory', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sand-doctor-'));
  });
  afterEach(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
  });
  const uid = process.getuid?.() ?? 0;
  const facts = (given: Partial<FolderFacts>): FolderFacts => ({
    path: '/state/runs',
    directory: true,
    mode: 0o700,
    owner: 1000,
    writable: true,
    freeBytes: 1e12,
    ...given,
  });

  it('that does not exist is judged by the folder above, and not made', async () => {
    const root = join(folder, 'sand', 'runs');
    expect(await checkLogDirectory(root, uid)).toMatchObject([
      { state: 'ok', message: `${root} can be made` },
      {},
    ]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is fine with mode 0700, warns when others can read it, fails when others can write it', async () => {
    const root = join(folder, 'runs');
    mkdirSync(root, { mode: 0o700 });
    expect((await checkLogDirectory(root, uid))[0]).toMatchObject({ state: 'ok' });
    chmodSync(root, 0o755);
    expect((await checkLogDirectory(root, uid))[0]).toMatchObject({
      state: 'warning',
      remedy: `chmod 700 ${root}`,
    });
    chmodSync(root, 0o777);
    expect((await checkLogDirectory(root, uid))[0]).toMatchObject({
      state: 'failed',
      remedy: `chmod 700 ${root}`,
    });
  });

  it('that is a file fails', async () => {
    const root = join(folder, 'runs');
    writeFileSync(root, '');
    expect((await checkLogDirectory(root, uid))[0]).toMatchObject({
      state: 'failed',
      message: `${root} is no folder`,
    });
  });

  it('that cannot be written, or is another’s, fails', () => {
    const [locked] = judgeLogDirectory('/state/runs', facts({ writable: false }), 1000);
    expect(locked).toMatchObject({ state: 'failed', message: '/state/runs cannot be written' });
    expect(locked?.remedy).toBe('sudo chown -R "$(id -u)" /state/runs');
    const [foreign] = judgeLogDirectory('/state/runs', facts({ owner: 0 }), 1000);
    expect(foreign).toMatchObject({ state: 'failed' });
  });

  it('below a folder that is not sand’s own offers no command that changes that folder', () => {
    const [finding] = judgeLogDirectory(
      '/home/one/.local/state/sand/runs',
      facts({ path: '/', writable: false }),
      1000,
    );
    expect(finding).toMatchObject({
      state: 'failed',
      remedy: 'set XDG_STATE_HOME to a folder that you can write',
    });
  });

  it.each([
    [1024, 'failed'],
    [100 * 1024 * 1024, 'warning'],
    [10 * 1024 * 1024 * 1024, 'ok'],
    [null, 'warning'],
  ])('with %s bytes free is %s', (freeBytes, state) => {
    const [, space] = judgeLogDirectory('/state/runs', facts({ freeBytes }), 1000);
    expect(space).toMatchObject({ check: 'disk space', state });
  });

  it('is quoted in the remedy, so that no path runs as a command', () => {
    const path = "/state/a'; rm -rf ~ #/runs";
    const [finding] = judgeLogDirectory(path, facts({ path, mode: 0o777 }), 1000);
    expect(finding?.remedy).toBe("chmod 700 '/state/a'\\''; rm -rf ~ #/runs'");
  });
});

describe('the clock and the certificates', () => {
  it.each([
    [Date.UTC(2027, 5, 1), 'ok'],
    [0, 'warning'],
    [Date.UTC(2150, 0, 1), 'warning'],
    [Number.NaN, 'warning'],
  ])('a clock at %s is %s', (nowMs, state) => {
    expect(judgeClock(nowMs).state).toBe(state);
  });

  it.each([
    [() => null, 'warning'],
    [() => 0, 'warning'],
    [(path: string) => (path.includes('pki') ? 200_000 : null), 'ok'],
  ])('a bundle is found where a distribution keeps it, and must not be empty', (sizeOf, state) => {
    const finding = checkCertificates((name) => `install ${name}`, sizeOf);
    expect(finding).toMatchObject({ state, remedy: state === 'ok' ? null : 'install ca-certificates' });
  });
});
