/** Who is measured: how each proxy is found, started on a loopback port and told apart. What is measured is elsewhere. */
import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Found, fetchPackage, requirePrograms } from '../peers.ts';
import { bundleProgram } from '../program-bundle.ts';
import { findProgram, freePort, untilListening, type Workplace } from '../workplace.ts';
import type { OriginPorts } from './origin.ts';
import { ORIGIN_NAME } from './origin-name.ts';
import type { PeerReady, PeerSettings } from './peer-server.ts';
import type { SandReady, SandSettings } from './sand-server.ts';

export interface Contestant {
  readonly name: string;
  start(workplace: Workplace, origin: OriginPorts): Promise<Running>;
}

export interface Running {
  /** Null for no proxy at all. */
  readonly child: ChildProcess | null;
  readonly proxyPort: number | null;
  /** Where it answers DNS too. */
  readonly dnsPort: number | null;
  /** What the origins are called there. */
  readonly host: string;
}

const DIRECT: Contestant = {
  name: 'direct',
  start: async () => ({ child: null, proxyPort: null, dnsPort: null, host: '127.0.0.1' }),
};

const SAND: Contestant = {
  name: 'sand',
  async start(workplace, origin) {
    const folder = createFolder(workplace);
    const settings: SandSettings = { folder, origin };
    const path = await bundleProgram(pathOf('sand-server.ts'), workplace.folder);
    const program = await workplace.startProgram<SandReady>(path, settings, 'server');
    return { child: program.child, ...program.ready, host: ORIGIN_NAME };
  },
};

const SQUID: Contestant = {
  name: 'squid',
  async start(workplace) {
    const folder = createFolder(workplace);
    const port = await freePort();
    const settings = [
      `http_port 127.0.0.1:${port}`,
      'acl here src 127.0.0.0/8',
      'acl origin dst 127.0.0.0/8',
      'http_access allow here origin',
      'http_access deny all',
      'cache deny all',
      `access_log stdio:${folder}/access.log`,
      `cache_log ${folder}/cache.log`,
      'cache_store_log none',
      'pid_filename none',
      'pinger_enable off',
      'netdb_filename none',
      `coredump_dir ${folder}`,
      'max_filedescriptors 65536',
      'udp_outgoing_address 127.0.0.1',
      'visible_hostname bench',
    ];
    const argv = [...asProxyUser(), 'squid', '-N', '-f'];
    return startDaemon(workplace, folder, port, 'squid.conf', settings, (path) => [...argv, path]);
  },
};

const TINYPROXY: Contestant = {
  name: 'tinyproxy',
  async start(workplace) {
    const folder = createFolder(workplace);
    const port = await freePort();
    const settings = [
      `Port ${port}`,
      'Listen 127.0.0.1',
      'Timeout 600',
      // Of a connection it would flush a line to the disk each time.
      `LogFile "${folder}/tinyproxy.log"`,
      'LogLevel Warning',
      'MaxClients 20000',
      'Allow 127.0.0.1',
    ];
    return startDaemon(workplace, folder, port, 'tinyproxy.conf', settings, (path) => [
      'tinyproxy',
      '-d',
      '-c',
      path,
    ]);
  },
};

/** All that this machine can measure, and why not the others. */
export function findContestants(workplace: Workplace): {
  readonly present: readonly Contestant[];
  readonly skipped: readonly string[];
} {
  const found: readonly (readonly [string, Found<Contestant>])[] = [
    ['direct', { ok: true, value: DIRECT }],
    ['sand', { ok: true, value: SAND }],
    ['squid', ofDebian(SQUID)],
    ['tinyproxy', ofDebian(TINYPROXY)],
    ['proxy-chain', ofNpm(workplace, 'proxy-chain', 'proxy-chain')],
    ['srt', ofNpm(workplace, 'srt', '@anthropic-ai/sandbox-runtime')],
  ];
  return {
    present: found.flatMap(([, one]) => (one.ok ? [one.value] : [])),
    skipped: found.flatMap(([title, one]) => (one.ok ? [] : [`${title} skipped: ${one.why}`])),
  };
}

function ofDebian(contestant: Contestant): Found<Contestant> {
  const programs = requirePrograms({ [contestant.name]: contestant.name });
  return programs.ok ? { ok: true, value: contestant } : programs;
}

function ofNpm(workplace: Workplace, peer: PeerSettings['peer'], packageName: string): Found<Contestant> {
  const fetched = fetchPackage(packageName, join(workplace.folder, `npm-${peer}`));
  if (!fetched.ok) return fetched;
  const { folder, version } = fetched.value;
  const start = async (place: Workplace): Promise<Running> => {
    const settings: PeerSettings = { peer, folder };
    const program = await place.startProgram<PeerReady>(pathOf('peer-server.ts'), settings, 'server');
    return { child: program.child, ...program.ready, dnsPort: null, host: '127.0.0.1' };
  };
  return { ok: true, value: { name: `${peer} ${version}`, start } };
}

async function startDaemon(
  workplace: Workplace,
  folder: string,
  proxyPort: number,
  file: string,
  settings: readonly string[],
  argvOf: (path: string) => readonly string[],
): Promise<Running> {
  const path = join(folder, file);
  writeFileSync(path, `${settings.join('\n')}\n`);
  const argv = argvOf(path).map((word) => (DAEMONS.includes(word) ? (findProgram(word) ?? word) : word));
  const child = workplace.start(argv, 'server');
  await untilListening(proxyPort, child);
  return { child, proxyPort, dnsPort: null, host: '127.0.0.1' };
}

/** Where an ordinary PATH may not find them. */
const DAEMONS: readonly string[] = ['squid', 'tinyproxy'];

/**
 * squid does not serve as root. If it became another user by itself, it would outlive a benchmark that was killed,
 * for the kernel forgets the signal of a parent's death then.
 */
function asProxyUser(): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  return ['setpriv', '--reuid', 'proxy', '--regid', 'proxy', '--clear-groups', '--pdeathsig', 'KILL', '--'];
}

/** Not every daemon runs as the user of the benchmark, and each writes a log. */
function createFolder(workplace: Workplace): string {
  chmodSync(workplace.folder, 0o711);
  const folder = join(workplace.folder, `server-${performance.now()}`);
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  return folder;
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
