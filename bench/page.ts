/**
 * How long a page is made from a million events, in what memory, and how a page of ten thousand opens in a browser:
 * when it is whole, and its longest task, on the clock and on the processor.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { loadAssets } from '../audit/page/assets.ts';
import { readPage } from '../audit/page/read.ts';
import { renderPage } from '../audit/page/render.ts';
import { runPlace } from '../audit/runs.ts';
import { sampleLines } from './sample-run.ts';
import { formatFigure, formatTable } from './table.ts';
import { Workplace } from './workplace.ts';

export const name = 'page';
export const summary = 'the HTML page: made from a million events, and opened in chromium with ten thousand';

const RUN = '20261121-201500-aaaa';
const LARGE = 1_000_000;
const OPENED = 10_000;
const ROUNDS = 7;
const EXECUTABLE = '/usr/bin/chromium';
const MEMORY_POLL_MS = 20;

export async function run(): Promise<void> {
  await using workplace = new Workplace();
  await measureMaking(workplace.folder);
  const path = join(workplace.folder, 'page.html');
  const made = await make(workplace.folder, OPENED, path);
  const browser = await launch();
  if (browser === null) return;
  try {
    await measureOpening(browser, path, made.bytes);
  } finally {
    await browser.close();
  }
}

async function measureMaking(folder: string): Promise<void> {
  const { ms, peakBytes, bytes } = await make(folder, LARGE, join(folder, 'large.html'));
  process.stdout.write(
    formatTable({
      head: ['events', 'made in s', 'peak MiB', 'page MiB'],
      rows: [
        [
          LARGE.toLocaleString('en'),
          formatFigure(ms / 1_000),
          formatFigure(peakBytes / 1024 ** 2),
          formatFigure(bytes / 1024 ** 2),
        ],
      ],
      notes: ['the log is read twice, for its events and for its chain'],
    }),
  );
}

interface Made {
  readonly ms: number;
  readonly peakBytes: number;
  readonly bytes: number;
}

async function make(folder: string, events: number, path: string): Promise<Made> {
  const place = runPlace(folder, RUN);
  mkdirSync(place.directory, { recursive: true });
  writeFileSync(place.auditPath, '');
  let lines: string[] = [];
  const flush = () => {
    writeFileSync(place.auditPath, lines.map((line) => `${line}\n`).join(''), { flag: 'a' });
    lines = [];
  };
  for (const line of sampleLines(RUN, events)) if (lines.push(line) >= 10_000) flush();
  flush();
  let peakBytes = 0;
  const watch = setInterval(() => {
    peakBytes = Math.max(peakBytes, process.memoryUsage().rss);
  }, MEMORY_POLL_MS);
  const start = performance.now();
  const data = await readPage([place], { sand: 'bench', madeAt: new Date(0).toISOString() });
  const assets = await loadAssets('report');
  writeFileSync(path, [...renderPage({ ...data, assets })].join(''));
  clearInterval(watch);
  return { ms: performance.now() - start, peakBytes, bytes: statSync(path).size };
}

async function launch(): Promise<Browser | null> {
  try {
    return await chromium.launch({ executablePath: EXECUTABLE, args: ['--no-sandbox'] });
  } catch {
    process.stdout.write(`opening is not measured: ${EXECUTABLE} does not start (Debian: chromium)\n`);
    return null;
  }
}

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly dur?: number;
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

async function measureOpening(browser: Browser, path: string, bytes: number): Promise<void> {
  const rounds: {
    readonly ms: number;
    readonly wallMs: number;
    readonly cpuMs: number;
    readonly long: number;
  }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await page.addInitScript(OBSERVE_LONG_TASKS);
    await browser.startTracing(page, { categories: ['toplevel', 'devtools.timeline', '__metadata'] });
    const start = performance.now();
    await page.goto(`file://${path}`);
    await page.waitForSelector('#events[data-state=read]');
    const ms = performance.now() - start;
    const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
    const long = Number(await page.evaluate('longTasks'));
    rounds.push({ ms, long, ...longestTask(trace.traceEvents) });
    await page.close();
  }
  const median = (of: (round: (typeof rounds)[number]) => number) =>
    rounds.map(of).sort((a, b) => a - b)[Math.floor(rounds.length / 2)] ?? 0;
  process.stdout.write(
    formatTable({
      head: ['events', 'page KiB', 'whole after ms', 'longest task ms', 'of it CPU ms', 'long tasks'],
      rows: [
        [
          OPENED.toLocaleString('en'),
          formatFigure(bytes / 1024),
          formatFigure(median((round) => round.ms)),
          formatFigure(median((round) => round.wallMs)),
          formatFigure(median((round) => round.cpuMs)),
          formatFigure(median((round) => round.long)),
        ],
      ],
      notes: [
        `medians of ${ROUNDS}; a long task is one over 50 ms, as the Long Tasks API defines it`,
        'on the clock a task lasts as long as its neighbours let it',
      ],
    }),
  );
}

/** Counted by the page's own browser, from before its first byte. */
const OBSERVE_LONG_TASKS = `globalThis.longTasks = 0;
new PerformanceObserver((list) => { longTasks += list.getEntries().length; }).observe({ type: 'longtask', buffered: true });`;

/** Of the thread that parses and runs the page. */
function longestTask(events: readonly TraceEvent[]) {
  const parser = events.find(({ name }) => name === 'ParseHTML');
  const tasks = events.filter(
    ({ name, ph, pid, tid }) =>
      name.endsWith('RunTask') && ph === 'X' && pid === parser?.pid && tid === parser?.tid,
  );
  const most = (of: (event: TraceEvent) => number) =>
    tasks.reduce((longest, task) => Math.max(longest, of(task)), 0);
  return {
    wallMs: most(({ dur = 0 }) => dur / 1_000),
    cpuMs: most(({ tdur = 0 }) => tdur / 1_000),
  };
}
