/**
 * How fast audit lines are written, and how long `sand audit` takes for a million of them, each command a process of
 * its own, in what memory; beside the same lines written and read without chain and schema.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, createReadStream, mkdirSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AUDIT_SCHEMA_VERSION, type AuditEntry } from '../audit/event.ts';
import { createAuditLog } from '../audit/log.ts';
import { listSegments, segmentPath } from '../audit/segments.ts';
import { endedChildrenMs, processorMs, residentBytes } from './process-figures.ts';
import { formatFigure, formatRatio, formatTable } from './table.ts';
import { Workplace } from './workplace.ts';

export const name = 'audit';
export const summary =
  'a million audit lines: written, verified, shown, counted, listed and exported, and the memory that takes';

const EVENTS = 1_000_000;
/** Writing is measured in turns of this many lines, the log and the plain file alternating. */
const TURN = 50_000;
const HOSTS = 500;

const SAND = new URL('../controller/bin/sand.js', import.meta.url).pathname;
const RUN = '20261121-201500-k3f9';
const DIGEST = `sha256:${'ab'.repeat(32)}`;

const START: AuditEntry = {
  ...{ kind: 'run-start', schema: AUDIT_SCHEMA_VERSION, run: RUN, sand: '0', node: process.versions.node },
  ...{ backend: 'none', isolation: 'none', confinement: 'enforced', command: ['bench'], workdir: '/' },
  policy: { name: 'bench', digest: DIGEST, mode: 'enforce', layers: [] },
};

const COMMANDS: readonly (readonly [string, readonly string[]])[] = [
  ['verify', ['verify']],
  ['show', ['show']],
  ['show --denied', ['show', '--denied']],
  ['top', ['top']],
  ['export --format csv', ['export', '--format', 'csv']],
  ['export --format ocsf', ['export', '--format', 'ocsf']],
];

interface Measured {
  readonly title: string;
  ms: number;
  cpuMs: number;
  peakBytes: number;
}

export async function run(): Promise<void> {
  await using workplace = new Workplace();
  const folder = join(workplace.folder, 'sand', 'runs', RUN);
  mkdirSync(folder, { mode: 0o700, recursive: true });
  const path = join(folder, 'audit.jsonl');
  const [write, plainWrite] = await writeBoth(path, join(folder, 'plain.jsonl'));
  const plainRead = create('read lines and JSON.parse');
  await measure(plainRead, () => readPlain(path));
  const commands: Measured[] = [];
  for (const [title, args] of COMMANDS) {
    const command = create(title);
    await measureCommand(command, [...args, RUN], workplace.folder);
    commands.push(command);
  }
  const list = create('ls');
  await measureCommand(list, ['ls'], workplace.folder);
  const beside: readonly (readonly [Measured, Measured])[] = [
    [write, plainWrite],
    [plainWrite, plainWrite],
    [plainRead, plainRead],
    ...[...commands, list].map((command) => [command, plainRead] as const),
  ];
  const sizes = (await listSegments(path)).map((segment) => statSync(segmentPath(path, segment)).size);
  const size = Math.round(sizes.reduce((sum, bytes) => sum + bytes, 0) / EVENTS);
  process.stdout.write(
    formatTable({
      head: ['', 'lines/s', 'CPU µs a line', 'peak MiB', 'time ÷ plain'],
      rows: beside.map(([one, plain]) => [
        one.title,
        formatFigure((EVENTS / one.ms) * 1_000),
        formatFigure((one.cpuMs * 1_000) / EVENTS),
        formatFigure(one.peakBytes / 1024 ** 2),
        formatRatio(one.ms / plain.ms),
      ]),
      notes: [
        'each command is a process of its own: start included, output thrown away',
        `${EVENTS.toLocaleString('en')} lines of ${size} bytes, each passed to the kernel on its own`,
      ],
    }),
  );
}

function create(title: string): Measured {
  return { title, ms: 0, cpuMs: 0, peakBytes: 0 };
}

async function writeBoth(path: string, plainPath: string): Promise<readonly [Measured, Measured]> {
  const write = create('write, chained');
  const plain = create('write, JSON.stringify alone');
  const log = createAuditLog({ path, guest: 'bench', clock: Date.now });
  log.record(START);
  const descriptor = openSync(plainPath, 'a', 0o600);
  for (let from = 0; from < EVENTS; from += TURN) {
    await measure(write, () => {
      for (let at = from; at < from + TURN; at += 1) log.record(decision(at));
    });
    await measure(plain, () => {
      for (let at = from; at < from + TURN; at += 1)
        writeSync(descriptor, `${JSON.stringify(decision(at))}\n`);
    });
  }
  closeSync(descriptor);
  log.close();
  return [write, plain];
}

/** The command as people run it, its output thrown away; a log without its seal ends `verify` with 1. */
async function measureCommand(measured: Measured, args: readonly string[], state: string): Promise<void> {
  const cpu = endedChildrenMs();
  const start = performance.now();
  const child = spawn(process.execPath, [SAND, 'audit', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, XDG_STATE_HOME: state },
  });
  const watch = setInterval(() => {
    if (child.pid !== undefined) measured.peakBytes = Math.max(measured.peakBytes, peakOf(child.pid));
  }, 20);
  const [code] = await once(child, 'exit');
  clearInterval(watch);
  measured.ms += performance.now() - start;
  measured.cpuMs += endedChildrenMs() - cpu;
  if (code !== 0 && code !== 1) throw new Error(`sand audit ${args.join(' ')} ended with ${code}`);
}

/** 0 once it has ended. */
function peakOf(pid: number): number {
  try {
    return residentBytes(pid) || 0;
  } catch {
    return 0;
  }
}

async function readPlain(path: string): Promise<void> {
  for (const segment of await listSegments(path)) {
    const input = createReadStream(segmentPath(path, segment));
    for await (const line of createInterface({ input })) JSON.parse(line);
  }
}

function decision(i: number): AuditEntry {
  return {
    kind: 'connection',
    connection: i,
    asker: 'guest',
    verdict: i % 10 === 0 ? 'deny' : 'allow',
    reason: i % 10 === 0 ? 'no-rule' : 'allowed-by-rule',
    disposition: i % 10 === 0 ? 'refused' : 'forwarded',
    rule: { id: 'strict/allow:**.example.com', file: 'preset:strict', line: 12 },
    policy: DIGEST,
    via: 'connect',
    host: `h${i % HOSTS}.example.com`,
    port: 443,
    protocol: 'https',
    address: '203.0.113.7',
    sni: `h${i % HOSTS}.example.com`,
    alpn: ['h2', 'http/1.1'],
  };
}

async function measure(measured: Measured, work: () => unknown): Promise<void> {
  const watch = setInterval(() => watchMemory(measured), 20);
  const cpu = processorMs(process.pid);
  const start = performance.now();
  await work();
  measured.ms += performance.now() - start;
  measured.cpuMs += processorMs(process.pid) - cpu;
  clearInterval(watch);
  watchMemory(measured);
}

function watchMemory(measured: Measured): void {
  measured.peakBytes = Math.max(measured.peakBytes, process.memoryUsage().rss);
}
