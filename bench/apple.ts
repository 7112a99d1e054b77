/**
 * What sand itself adds to a guest of Apple's `container`, on the emulator: the time of a start in which no call of the
 * tool runs, how many calls there are, and what the relay carries beside the linux backend's link. Needs root.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { buildPackage } from './built-package.ts';
import { median, pairedRatio } from './statistics.ts';
import { formatFigure, formatRatio, formatTable, type Table } from './table.ts';
import { Workplace } from './workplace.ts';

export const name = 'apple';
export const summary =
  'a guest of Apple\u2019s container on its emulator: sand\u2019s own share of a start, and its relay beside the linux backend\u2019s link';

const DEFAULT_SECONDS = 60;
const MAX_ROUNDS = 10;
const MIB = 1024 * 1024;
const DOWNLOAD_MIB = 64;
const SETUPS = 300;
/** A program of its own, as the tool that it stands for is. */
const EMULATOR = new URL('../test/emulators', import.meta.url).pathname;
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const IMAGE = 'docker.io/library/debian:stable-slim';
const BACKENDS = ['apple-container', 'linux'] as const;

type Backend = (typeof BACKENDS)[number];

/** Runs in the guest: the transparent way, since it is every program's. */
const CLIENT = `
import socket, sys, time
port = int(sys.argv[1])
def fetch(path):
    connection = socket.create_connection(('host.sand', port))
    connection.sendall(b'GET %s HTTP/1.1\\r\\nHost: host.sand:%d\\r\\nConnection: close\\r\\n\\r\\n' % (path, port))
    size = 0
    while True:
        part = connection.recv(1048576)
        if not part: return size
        size += len(part)
fetch(b'/')
from_ = time.monotonic()
size = fetch(b'/big')
stream = size / 1048576 / (time.monotonic() - from_)
from_ = time.monotonic()
for _ in range(${SETUPS}): fetch(b'/')
print(stream, ${SETUPS} / (time.monotonic() - from_))
`;

interface Figures {
  readonly totalMs: number[];
  readonly toolMs: number[];
  readonly ownMs: number[];
  readonly calls: number[];
  readonly stream: number[];
  readonly setups: number[];
}

const noFigures = (): Figures => ({ totalMs: [], toolMs: [], ownMs: [], calls: [], stream: [], setups: [] });

export async function run(): Promise<void> {
  if (process.getuid?.() !== 0) {
    process.stdout.write('skipped: the emulator of container makes its guests as root\n');
    return;
  }
  await using workplace = new Workplace();
  const place = layOut(workplace.folder);
  const big = Buffer.alloc(DOWNLOAD_MIB * MIB, 'sand');
  const origin = createServer((request, response) => response.end(request.url === '/big' ? big : 'hello\n'));
  origin.listen({ port: 0, host: '127.0.0.1' });
  await once(origin, 'listening');
  const { port } = Object(origin.address());
  writeFileSync(
    join(place.workspace, 'p.yaml'),
    `version: 1\nrules:\n  - allow: host.sand\n    http: [${port}]\n`,
  );
  writeFileSync(join(place.workspace, 'client.py'), CLIENT);
  const figures = { 'apple-container': noFigures(), linux: noFigures() };
  const deadline = performance.now() + Number(process.env.BENCH_SECONDS ?? DEFAULT_SECONDS) * 1_000;
  try {
    // Images are pulled, and programs compiled, before anything is measured.
    for (const backend of BACKENDS) await measure(place, backend, port, noFigures());
    for (let round = 0; round < 1 || (round < MAX_ROUNDS && performance.now() < deadline); round += 1)
      for (const backend of BACKENDS) await measure(place, backend, port, figures[backend]);
  } finally {
    origin.close();
  }
  process.stdout.write(formatTable(startTable(figures)));
  process.stdout.write('\n');
  process.stdout.write(formatTable(linkTable(figures)));
}

interface Place {
  readonly sand: string;
  readonly workspace: string;
  readonly log: string;
  readonly environment: Readonly<Record<string, string>>;
}

function layOut(folder: string): Place {
  for (const one of ['workspace', 'home', 'state', 'config', 'cache', 'tools']) mkdirSync(join(folder, one));
  const home = join(folder, 'home');
  const log = join(folder, 'calls');
  execFileSync(process.execPath, [join(EMULATOR, 'container/prepare.ts'), home, IMAGE], { stdio: 'pipe' });
  const tool = join(folder, 'tools/container');
  // Milliseconds since the epoch, when each call began and when it ended.
  writeFileSync(
    tool,
    `#!/bin/sh\nfrom=$(date +%s%3N)\n"${EMULATOR}/bin/container" "$@"\ncode=$?\necho "$from $(date +%s%3N) $1" >> "${log}"\nexit $code\n`,
  );
  chmodSync(tool, 0o755);
  return {
    sand: buildPackage(folder),
    workspace: join(folder, 'workspace'),
    log,
    environment: {
      PATH: SYSTEM_PATH,
      HOME: home,
      XDG_STATE_HOME: join(folder, 'state'),
      XDG_CONFIG_HOME: join(folder, 'config'),
      XDG_CACHE_HOME: join(folder, 'cache'),
      SAND_TOOL_PATH: `${join(folder, 'tools')}:${SYSTEM_PATH}`,
    },
  };
}

async function measure(place: Place, backend: Backend, port: number, into: Figures): Promise<void> {
  rmSync(place.log, { force: true });
  const from = performance.now();
  await sand(place, backend, ['true']);
  const totalMs = performance.now() - from;
  const calls = backend === 'linux' ? [] : readCalls(place.log);
  const toolMs = covered(calls);
  into.totalMs.push(totalMs);
  into.toolMs.push(toolMs);
  into.ownMs.push(totalMs - toolMs);
  into.calls.push(calls.length);
  const printed = await sand(place, backend, ['python3', 'client.py', String(port)]);
  const [stream = Number.NaN, setups = Number.NaN] = printed.trim().split(' ').map(Number);
  into.stream.push(stream);
  into.setups.push(setups);
}

async function sand(
  { sand: program, workspace, environment }: Place,
  backend: Backend,
  command: readonly string[],
): Promise<string> {
  const args = [program, 'run', '--backend', backend, '--policy', './p.yaml', '--', ...command];
  const child = spawn(process.execPath, args, {
    cwd: workspace,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      said[stream] += text;
    });
  const [code] = await once(child, 'close');
  // A run that fails early looks fast.
  if (code !== 0) throw new Error(`sand run --backend ${backend} ended with ${code}: ${said.stderr}`);
  return said.stdout;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

function readCalls(log: string): readonly Span[] {
  const lines = readFileSync(log, 'utf8').trim().split('\n');
  return lines.map((line) => {
    const [from = 0, to = 0] = line.split(' ').map(Number);
    return { from, to };
  });
}

/** How long at least one of them ran; calls at one time count once. */
function covered(calls: readonly Span[]): number {
  let until = 0;
  let sum = 0;
  for (const { from, to } of [...calls].sort((one, other) => one.from - other.from)) {
    sum += Math.max(0, to - Math.max(from, until));
    until = Math.max(until, to);
  }
  return sum;
}

type All = Readonly<Record<Backend, Figures>>;

function startTable(figures: All): Table {
  const apple = figures['apple-container'];
  const row = (backend: Backend) => {
    const { totalMs, toolMs, ownMs, calls } = figures[backend];
    return [
      `sand run --backend ${backend} -- true`,
      ...[totalMs, toolMs, ownMs].map((times) => median(times).toFixed(0)),
      median(calls).toFixed(0),
      formatRatio(pairedRatio(ownMs, figures.linux.totalMs)),
    ];
  };
  return {
    head: ['', 'ms', 'of it in the tool', 'sand\u2019s own', 'calls', 'own \u00f7 all of linux'],
    rows: BACKENDS.map(row),
    notes: [
      `medians of ${apple.totalMs.length} alternating rounds; in the tool is while at least one of its calls ran, each a start of Node on the emulator`,
      'with an image that is there, a command that ends at once, and nothing mounted but the workspace',
    ],
  };
}

function linkTable(figures: All): Table {
  const row = (backend: Backend, title: string) => {
    const { stream, setups } = figures[backend];
    return [
      title,
      formatFigure(median(stream)),
      formatRatio(pairedRatio(stream, figures.linux.stream)),
      formatFigure(median(setups)),
      formatRatio(pairedRatio(setups, figures.linux.setups)),
    ];
  };
  return {
    head: ['', 'MiB/s', '\u00f7 linux', 'set-ups/s', '\u00f7 linux'],
    rows: [row('apple-container', 'relay, on the emulator'), row('linux', 'namespace')],
    notes: [
      `in the guest, without a proxy: ${DOWNLOAD_MIB} MiB over one connection, then ${SETUPS} connections one after another with a request each`,
      'the emulator carries each connection through a process of Node\u2019s, in the place of vsock: its share is not the relay\u2019s',
    ],
  };
}
