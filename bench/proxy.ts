/**
 * What the proxy costs beside its peers: tunnels, streams, plain requests, memory, and how soon something new is
 * served while eight streams run flat out. Every round measures every proxy once, in turn.
 */
import { fileURLToPath } from 'node:url';
import { descriptorLimit } from './process-figures.ts';
import { type Contestant, findContestants, type Running } from './proxy/contestants.ts';
import { type Crew, measureMemory, measureRound, ROWS, type Row, Samples, warmUp } from './proxy/measures.ts';
import type { OriginPorts } from './proxy/origin.ts';
import { median, pairedRatio, quantile } from './statistics.ts';
import { formatFigure, formatRatio, formatTable, type Table } from './table.ts';
import { isPinning, Workplace } from './workplace.ts';

export const name = 'proxy';
export const summary =
  'tunnels, streams, requests, memory and latency under load, beside direct, squid, tinyproxy, proxy-chain and srt';

/** More rounds make steadier figures: `BENCH_SECONDS=300 npm run bench -- proxy`. One takes about 20 s. */
const DEFAULT_SECONDS = 90;
const MAX_ROUNDS = 15;
const TUNNELS = 10_000;
/** Each tunnel takes two descriptors of the proxy; the rest is for everything else. */
const SPARE_DESCRIPTORS = 400;

export async function run(): Promise<void> {
  await using workplace = new Workplace();
  const startedAt = performance.now();
  const { present, skipped } = findContestants(workplace);
  const start = <Ready>(path: string) =>
    workplace.startProgram<Ready>(fileURLToPath(new URL(path, import.meta.url)), {}, 'load');
  const origin = await start<OriginPorts>('./proxy/origin.ts');
  const crew: Crew = {
    origin: origin.ready,
    load: await start('./proxy/load.ts'),
    watch: await start('./proxy/load.ts'),
  };
  const samples = new Map<Contestant, Samples>(present.map((one) => [one, new Samples()]));
  const tunnels = Math.min(TUNNELS, Math.floor((descriptorLimit() - SPARE_DESCRIPTORS) / 2));
  for (const [contestant, own] of samples) await measureMemory(workplace, contestant, crew, tunnels, own);
  const running = new Map<Contestant, Running>();
  for (const one of present) {
    const at = await one.start(workplace, crew.origin);
    await warmUp(at, crew);
    running.set(one, at);
  }
  const deadline = startedAt + Number(process.env.BENCH_SECONDS ?? DEFAULT_SECONDS) * 1_000;
  const rounds = await repeatUntil(deadline, async () => {
    for (const [contestant, own] of samples) {
      const at = running.get(contestant);
      if (at !== undefined) await measureRound(at, crew, own);
    }
  });
  process.stdout.write(formatTable(tableOf(samples, rounds, tunnels, skipped)));
}

/** Once at least; then as long as another round is likely to end in time. Gives how often. */
async function repeatUntil(deadline: number, round: () => Promise<void>): Promise<number> {
  let rounds = 0;
  let longestMs = 0;
  while (rounds === 0 || (rounds < MAX_ROUNDS && performance.now() + longestMs < deadline)) {
    const start = performance.now();
    await round();
    longestMs = Math.max(longestMs, performance.now() - start);
    rounds += 1;
  }
  return rounds;
}

/** A row a measure; beside each figure of a peer, sand's own divided by it. */
function tableOf(
  samples: ReadonlyMap<Contestant, Samples>,
  rounds: number,
  tunnels: number,
  skipped: readonly string[],
): Table {
  const sand = [...samples].find(([{ name: title }]) => title === 'sand')?.[1] ?? new Samples();
  const rows = (Object.keys(ROWS) as Row[]).map((row) => [
    ROWS[row],
    ...[...samples.values()].map((own) => cell(row, own, sand)),
  ]);
  const failures = [...samples].flatMap(([{ name: title }, own]) =>
    [...own.failures].map((failure) => `${title}: ${failure}`),
  );
  return {
    head: ['', ...[...samples.keys()].map(({ name: title }) => title)],
    rows,
    notes: [
      `${rounds} alternating rounds; rates are medians, times are median / p99 of all of them; in brackets: sand ÷ it`,
      'sand judges a name by a policy on top of strict, resolves it and writes its audit log; the others get an address',
      `all idle tunnels: ${tunnels.toLocaleString('en')} (two descriptors each)`,
      isPinning()
        ? 'the proxy on one processor, load and origins on the others'
        : 'nothing is pinned to a processor',
      ...failures,
      ...skipped,
    ],
  };
}

function cell(row: Row, own: Samples, sand: Samples): string {
  const times = own.times.get(row) ?? [];
  if (times.length > 0) {
    const parts = [0.5, 0.99].map((share) => {
      const figure = quantile(times, share);
      const ratio = quantile(sand.times.get(row) ?? [], share) / figure;
      return own === sand ? formatFigure(figure) : `${formatFigure(figure)} (${formatRatio(ratio)})`;
    });
    return parts.join(' / ');
  }
  const figures = own.figures.get(row) ?? [];
  if (figures.length === 0 || !figures.every(Number.isFinite)) return '-';
  const figure = formatFigure(median(figures));
  if (own === sand) return figure;
  return `${figure} (${formatRatio(pairedRatio(sand.figures.get(row) ?? [], figures))})`;
}
