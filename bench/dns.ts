/**
 * Answers a second of sand's resolver beside dnsmasq and dns2 alone, each in a process of its own, asked over UDP
 * by one client with many questions under way.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { DnsFigures, DnsTask } from './dns/load.ts';
import type { DnsReady, DnsSettings } from './dns/sand-server.ts';
import { requirePrograms } from './peers.ts';
import { processorMs } from './process-figures.ts';
import { bundleProgram } from './program-bundle.ts';
import { median, pairedRatio } from './statistics.ts';
import { formatFigure, formatRatio, formatTable } from './table.ts';
import {
  findProgram,
  freePort,
  isPinning,
  type Program,
  pinning,
  untilListening,
  Workplace,
} from './workplace.ts';

export const name = 'dns';
export const summary = 'answers a second of the resolver, beside dnsmasq and dns2 alone';

const ROUNDS = 5;
const SLICE_MS = 1_000;
const UNDER_WAY = 64;
const ZONE = 'zone.bench.example';
/** Distinct names: what a guest asks in a long session, and few enough for every cache. */
const NAMES = 500;

interface Server {
  readonly title: string;
  readonly port: number;
  readonly pid: number;
  readonly names: readonly string[];
  readonly rates: number[];
  readonly processorUs: number[];
}

type Load = (server: Server) => Promise<DnsFigures>;

export async function run(): Promise<void> {
  await using workplace = new Workplace();
  const notes: string[] = [];
  const servers = await startServers(workplace, notes);
  const load = await createLoad(workplace, notes);
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const server of servers) {
      const before = processorMs(server.pid);
      const { answers, elapsedMs } = await load(server);
      if (round < 0) continue;
      server.rates.push((answers / elapsedMs) * 1_000);
      server.processorUs.push(((processorMs(server.pid) - before) * 1_000) / answers);
    }
  }
  process.stdout.write(formatTable(tableOf(servers, notes)));
}

function namesBelow(zone: string): readonly string[] {
  return Array.from({ length: NAMES }, (_, at) => `n${at}.${zone}`);
}

async function startServers(workplace: Workplace, notes: string[]): Promise<readonly Server[]> {
  const allowed = namesBelow(ZONE);
  const create = (title: string, port: number, pid: number | undefined, names = allowed): Server => {
    return { title, port, pid: pid ?? 0, names, rates: [], processorUs: [] };
  };
  const start = async (path: string, settings: object): Promise<Program<DnsReady>> => {
    const program = await bundleProgram(fileURLToPath(new URL(path, import.meta.url)), workplace.folder);
    return workplace.startProgram<DnsReady>(program, settings, 'server');
  };
  const settings: DnsSettings = { folder: workplace.folder, zone: ZONE };
  const sand = await start('./dns/sand-server.ts', settings);
  const plain = await start('./dns/plain-server.ts', {});
  const denied = namesBelow('elsewhere.example');
  const servers = [
    create('sand, allowed names', sand.ready.port, sand.child.pid),
    create('sand, denied names', sand.ready.port, sand.child.pid, denied),
    create('dns2 alone, no policy, no log', plain.ready.port, plain.child.pid),
  ];
  const programs = requirePrograms({ dnsmasq: 'dnsmasq-base' });
  if (!programs.ok) {
    notes.push(`dnsmasq skipped: ${programs.why}`);
    return servers;
  }
  for (const [title, flags] of [
    ['dnsmasq, no log', []],
    ['dnsmasq, each query logged', ['--log-queries']],
  ] as const) {
    const { port, pid } = await startDnsmasq(workplace, flags);
    servers.push(create(title, port, pid));
  }
  return servers;
}

/** Answers the zone by itself and asks nobody. */
async function startDnsmasq(
  workplace: Workplace,
  flags: readonly string[],
): Promise<{ readonly port: number; readonly pid: number | undefined }> {
  const port = await freePort();
  const folder = join(workplace.folder, `dnsmasq-${port}`);
  mkdirSync(folder);
  const argv = [
    findProgram('dnsmasq') ?? 'dnsmasq',
    '--keep-in-foreground',
    // As another user it would outlive a benchmark that was killed: the kernel forgets a parent's death signal then.
    `--user=${userInfo().username}`,
    '--conf-file=/dev/null',
    '--no-resolv',
    '--no-hosts',
    '--pid-file',
    '--bind-interfaces',
    '--listen-address=127.0.0.1',
    `--port=${port}`,
    `--address=/${ZONE}/198.18.0.9`,
    '--cache-size=10000',
    `--log-facility=${join(folder, 'log')}`,
    ...flags,
  ];
  const child = workplace.start(argv, 'server');
  await untilListening(port, child);
  return { port, pid: child.pid };
}

async function createLoad(workplace: Workplace, notes: string[]): Promise<Load> {
  const dnsperf = findProgram('dnsperf');
  if (dnsperf !== null) {
    notes.push('asked by dnsperf');
    return (server) => runDnsperf(dnsperf, server, workplace.folder);
  }
  notes.push('asked by a client of this benchmark (dnsperf is not installed), which is itself a limit');
  const program = fileURLToPath(new URL('./dns/load.ts', import.meta.url));
  const { ask } = await workplace.startProgram<object>(program, {}, 'load');
  return async ({ port, names }) => {
    const task: DnsTask = { port, names, underWay: UNDER_WAY, ms: SLICE_MS };
    return (await ask(task)) as DnsFigures;
  };
}

async function runDnsperf(dnsperf: string, { port, names }: Server, folder: string): Promise<DnsFigures> {
  const path = join(folder, `${names[0]}.txt`);
  writeFileSync(path, names.map((one) => `${one} A\n`).join(''));
  const args = ['-s', '127.0.0.1', '-p', String(port), '-d', path, '-l', String(SLICE_MS / 1_000)];
  const [file = '', ...rest] = [...pinning('load'), dnsperf, ...args, '-c', '1', '-q', String(UNDER_WAY)];
  const { stdout } = await promisify(execFile)(file, rest);
  const read = (title: string): number => Number(new RegExp(`${title}:\\s+([\\d.]+)`).exec(stdout)?.[1]);
  return { answers: read('Queries completed'), elapsedMs: read('Run time \\(s\\)') * 1_000 };
}

function tableOf(servers: readonly Server[], notes: readonly string[]) {
  const [sand] = servers;
  return {
    head: ['', 'answers/s', 'sand ÷ it', 'CPU µs an answer', 'sand ÷ it'],
    rows: servers.map(({ title, rates, processorUs }) => [
      title,
      formatFigure(median(rates)),
      formatRatio(pairedRatio(sand?.rates ?? [], rates)),
      formatFigure(median(processorUs)),
      formatRatio(pairedRatio(sand?.processorUs ?? [], processorUs)),
    ]),
    notes: [
      `medians of ${ROUNDS} alternating rounds after a warm-up, ${UNDER_WAY} questions under way; ratios: sand, allowed names ÷ it`,
      'sand judges each name by a policy and writes an audit line to the disk before the answer; its limit of questions a second is off',
      isPinning()
        ? 'the server on one processor, the client on the others'
        : 'nothing is pinned to a processor',
      ...notes,
    ],
  };
}
