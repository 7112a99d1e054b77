/**
 * The ethernet link, with the program that stands in softnet's place, beside libslirp: each ends the TAP device of a network
 * namespace, and joins its connections to the same origin on the host's loopback.
 */
import { type ChildProcess, execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LinkSettings } from './ethernet/link-server.ts';
import type { OriginReady } from './ethernet/origin.ts';
import { requirePrograms } from './peers.ts';
import { processorMs } from './process-figures.ts';
import { bundleProgram } from './program-bundle.ts';
import { median, pairedRatio } from './statistics.ts';
import { formatFigure, formatRatio, formatTable, type Table } from './table.ts';
import { isPinning, type Workplace as Place, pinning, Workplace } from './workplace.ts';

export const name = 'ethernet';
export const summary =
  'throughput, CPU and set-ups a second of the ethernet link, beside libslirp (slirp4netns)';

const ROUNDS = 5;
const SLICE_SECONDS = 1.5;
const MTU = 1_500;
const START_TIMEOUT_MS = 15_000;
const START_POLL_MS = 50;
const KINDS = ['down', 'up', 'setups'] as const;
type Kind = (typeof KINDS)[number];

interface Contestant {
  readonly title: string;
  /** A process in its guest's network namespace. */
  readonly holder: number;
  /** The host's loopback, as that guest sees it. */
  readonly host: string;
  /** Whose processor time counts. */
  readonly pids: readonly number[];
  readonly figures: Record<Kind, { readonly rates: number[]; readonly processor: number[] }>;
}

export async function run(): Promise<void> {
  const programs = requirePrograms({ slirp4netns: 'slirp4netns', python3: 'python3', nsenter: 'util-linux' });
  if (process.getuid?.() !== 0 || !programs.ok) {
    process.stdout.write(`skipped: ${programs.ok ? 'needs root, for network namespaces' : programs.why}\n`);
    return;
  }
  await using workplace = new Workplace();
  const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));
  const origin = await workplace.startProgram<OriginReady>(path('./ethernet/origin.ts'), {}, 'load');
  const contestants = [await startSand(workplace, origin.ready.port), await startSlirp(workplace)];
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const kind of KINDS) {
      for (const one of contestants) await measure(one, kind, origin.ready.port, round >= 0);
    }
  }
  process.stdout.write(formatTable(tableOf(contestants)));
}

function createFigures(): Contestant['figures'] {
  const one = () => ({ rates: [], processor: [] });
  return { down: one(), up: one(), setups: one() };
}

async function startSand(workplace: Place, originPort: number): Promise<Contestant> {
  const bundle = (file: string) =>
    bundleProgram(fileURLToPath(new URL(file, import.meta.url)), workplace.folder);
  const socket = join(workplace.folder, 'cable.sock');
  const settings: LinkSettings = { path: socket, originPort };
  const link = await workplace.startProgram(await bundle('./ethernet/link-server.ts'), settings, 'server');
  const softnet = await bundle('../controller/links/ethernet/softnet/softnet.ts');
  const tap = fileURLToPath(new URL('../test/e2e/ethernet/tap.py', import.meta.url));
  const program = ['--', process.execPath, softnet, '--cable', socket];
  const guest = workplace.start(['unshare', '--net', 'python3', tap, String(MTU), ...program], 'server');
  const holder = guest.pid ?? 0;
  await untilCard(holder, guest);
  inside(holder, ['ip', 'addr', 'add', '198.18.0.2/30', 'dev', 'tap0']);
  inside(holder, ['ip', 'route', 'add', 'default', 'via', '198.18.0.1']);
  return {
    title: 'sand: link and softnet',
    holder,
    host: '203.0.113.7',
    pids: [holder, link.child.pid ?? 0],
    figures: createFigures(),
  };
}

async function startSlirp(workplace: Place): Promise<Contestant> {
  const guest = workplace.start(['unshare', '--net', 'sleep', 'infinity'], 'load');
  const holder = guest.pid ?? 0;
  // Its namespace is made once `unshare` has become `sleep`.
  await until(() => inside(holder, ['ip', 'link', 'show']).split('\n').length < 4, guest);
  const argv = ['slirp4netns', '--configure', `--mtu=${MTU}`, String(holder), 'tap0'];
  const slirp = workplace.start(argv, 'server');
  await untilCard(holder, slirp);
  return { title: 'libslirp', holder, host: '10.0.2.2', pids: [slirp.pid ?? 0], figures: createFigures() };
}

function inside(pid: number, argv: readonly string[]): string {
  return execFileSync('nsenter', ['--target', String(pid), '--net', ...argv], {
    encoding: 'utf8',
    stdio: 'pipe',
  });
}

function untilCard(pid: number, child: ChildProcess): Promise<void> {
  return until(() => /tap0.*UP/.test(inside(pid, ['ip', 'link', 'show', 'tap0'])), child);
}

async function until(isSo: () => boolean, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      if (isSo()) return;
    } catch {
      // Not there yet.
    }
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`${child.spawnargs} does not come up`);
    await new Promise((resolve) => setTimeout(resolve, START_POLL_MS));
  }
}

async function measure(one: Contestant, kind: Kind, port: number, isKept: boolean): Promise<void> {
  const client = fileURLToPath(new URL('./ethernet/client.py', import.meta.url));
  const argv = ['nsenter', '--target', String(one.holder), '--net', 'python3', client];
  const [file = '', ...rest] = [
    ...pinning('load'),
    ...argv,
    kind,
    one.host,
    String(port),
    String(SLICE_SECONDS),
  ];
  const before = spent(one);
  const { stdout } = await promisify(execFile)(file, rest);
  const processor = spent(one) - before;
  if (!isKept) return;
  const { count, ms } = JSON.parse(stdout) as { count: number; ms: number };
  const units = kind === 'setups' ? count : count / 1e6;
  one.figures[kind].rates.push((units / ms) * 1_000);
  one.figures[kind].processor.push(processor / units);
}

function spent({ pids }: Contestant): number {
  return pids.reduce((sum, pid) => sum + processorMs(pid), 0);
}

const TITLES: Readonly<Record<Kind, readonly [string, string]>> = {
  down: ['to the guest, MB/s', 'CPU ms a MB'],
  up: ['from the guest, MB/s', 'CPU ms a MB'],
  setups: ['set-ups a second, one after the other', 'CPU ms each'],
};

function tableOf(contestants: readonly Contestant[]): Table {
  const [sand, other] = contestants;
  const rows = KINDS.flatMap((kind) =>
    (['rates', 'processor'] as const).map((figure, at) => [
      `${TITLES[kind][at]}`,
      ...contestants.map(({ figures }) => formatFigure(median(figures[kind][figure]))),
      formatRatio(pairedRatio(sand?.figures[kind][figure] ?? [], other?.figures[kind][figure] ?? [])),
    ]),
  );
  return {
    head: ['', ...contestants.map(({ title }) => title), 'sand ÷ it'],
    rows,
    notes: [
      `medians of ${ROUNDS} alternating rounds after a warm-up; one connection, an MTU of ${MTU} for both, no policy and no log`,
      'libslirp by slirp4netns, whose one process reads the TAP device; sand by two processes, as under tart',
      isPinning()
        ? 'what is measured on one processor, guest, client and origin on the others'
        : 'nothing is pinned to a processor',
    ],
  };
}
