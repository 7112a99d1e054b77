/**
 * What enforcement costs a build: `npm ci` of a project of some 300 packages from the registry, with a cold cache, plain and
 * under `sand ci`, in turns. What differs is sand alone: npm, Node, cache and disk are the same.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditEvent } from '../audit/event.ts';
import { readAuditLog } from '../audit/read.ts';
import { auditRoot, findRun } from '../audit/runs.ts';
import { buildPackage } from './built-package.ts';
import { endedChildrenMs } from './process-figures.ts';
import { mean, median, pairedRatio } from './statistics.ts';
import { formatRatio, formatTable } from './table.ts';
import { Workplace } from './workplace.ts';

export const name = 'ci';
export const summary = '`npm ci` of some 300 packages with a cold cache, plain and under `sand ci`';

const ROUNDS = 5;
const WARM_UPS = 1;
/** What the design aims at: one of the two. */
const AIM = { share: 0.05, seconds: 2 };
/** A registry that has not given everything by then is not there. */
const BUILD_TIMEOUT_MS = 300_000;

/** Tools that many projects have; the lock is made anew, so versions within these ranges are those of the day. */
const PROJECT = {
  private: true,
  dependencies: { express: '^4.21.0' },
  devDependencies: {
    eslint: '^8.57.0',
    mocha: '^10.4.0',
    prettier: '^3.2.0',
    webpack: '^5.90.0',
    'webpack-cli': '^5.1.0',
  },
};
const NPM = [
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
  '--no-update-notifier',
  // As in most projects: a lock without addresses costs npm a question a package.
  '--omit-lockfile-registry-resolved=false',
  '--cache=./cache',
];
const UNDER_SAND = 'ci --policy strict --no-baseline --no-project-file --'.split(' ');

interface Case {
  readonly name: string;
  readonly argv: readonly string[];
  readonly times: number[];
  readonly processorTimes: number[];
}

export async function run(): Promise<void> {
  await using workplace = new Workplace();
  const { folder } = workplace;
  for (const part of ['project', 'home', 'state', 'config', 'cache']) mkdirSync(join(folder, part));
  writeFileSync(join(folder, 'project/package.json'), JSON.stringify(PROJECT));
  const environment = environmentOf(folder);
  const build = (argv: readonly string[]) => timeOnce(argv, join(folder, 'project'), environment);
  build(['npm', 'install', '--package-lock-only', ...NPM]);
  const sand = buildPackage(folder);
  const cases: readonly [Case, Case] = [
    { name: 'npm ci', argv: ['npm', 'ci', ...NPM], times: [], processorTimes: [] },
    {
      name: 'sand ci -- npm ci',
      argv: [process.execPath, sand, ...UNDER_SAND, 'npm', 'ci', ...NPM],
      times: [],
      processorTimes: [],
    },
  ];
  for (let round = -WARM_UPS; round < ROUNDS; round += 1) {
    // Whoever comes second has the page cache of the first: that is each one's turn.
    for (const { argv, times, processorTimes } of round % 2 === 0 ? cases : cases.toReversed()) {
      for (const part of ['node_modules', 'cache'])
        rmSync(join(folder, 'project', part), { recursive: true, force: true });
      const before = endedChildrenMs();
      const timeMs = build(argv);
      if (round < 0) continue;
      times.push(timeMs);
      processorTimes.push(endedChildrenMs() - before);
    }
  }
  process.stdout.write(formatTable(tableOf(cases, [...(await notesOf(environment)), ...packagesIn(folder)])));
}

/** Without what `npm run` adds, which a guest would not get either, and with the programs of this machine alone. */
function environmentOf(folder: string): Readonly<Record<string, string | undefined>> {
  const own = Object.entries(process.env).filter(([variable]) => !/^(npm_|INIT_CWD$|NODE$)/i.test(variable));
  const path = (process.env.PATH ?? '').split(':').filter((place) => !place.endsWith('node_modules/.bin'));
  return {
    ...Object.fromEntries(own),
    PATH: path.join(':'),
    HOME: join(folder, 'home'),
    XDG_STATE_HOME: join(folder, 'state'),
    XDG_CONFIG_HOME: join(folder, 'config'),
    XDG_CACHE_HOME: join(folder, 'cache'),
  };
}

/** A build that fails early looks fast, so its exit status is checked. */
function timeOnce(
  [file = '', ...args]: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string | undefined>>,
): number {
  const start = performance.now();
  const result = spawnSync(file, args, {
    cwd,
    env: { ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: BUILD_TIMEOUT_MS,
  });
  const timeMs = performance.now() - start;
  if (result.status !== 0)
    throw new Error(`${file} ${args.join(' ')} ended with ${result.status}: ${result.stderr}`);
  return timeMs;
}

/** What the last run under sand asked of it. */
async function notesOf(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<readonly string[]> {
  const found = await findRun(auditRoot(environment));
  if (found.kind !== 'found') return [];
  const events: AuditEvent[] = [];
  for await (const line of readAuditLog(found.run.auditPath)) if (line.ok) events.push(line.event);
  const connections = events.filter(({ kind }) => kind === 'connection').length;
  const bytes = events.reduce((sum, event) => sum + (event.kind === 'close' ? event.bytesIn : 0), 0);
  return [`a build under sand: ${connections} connections, ${(bytes / 1e6).toFixed(0)} MB in`];
}

function packagesIn(folder: string): readonly string[] {
  const lock = JSON.parse(readFileSync(join(folder, 'project/package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, unknown>>;
  };
  return [`${Object.keys(lock.packages).length - 1} packages in the lock`];
}

function tableOf(cases: readonly [Case, Case], notes: readonly string[]) {
  const [plain, sand] = cases;
  const rows = cases.map(({ name: title, times, processorTimes }) => [
    title,
    (median(times) / 1000).toFixed(2),
    (Math.min(...times) / 1000).toFixed(2),
    (Math.max(...times) / 1000).toFixed(2),
    (mean(processorTimes) / 1000).toFixed(2),
  ]);
  const ratio = pairedRatio(sand.times, plain.times);
  const moreMs = median(sand.times.map((time, round) => time - (plain.times[round] ?? Number.NaN)));
  const isMet = ratio <= 1 + AIM.share || moreMs <= AIM.seconds * 1000;
  return {
    head: ['', 'median s', 'min', 'max', 'CPU s'],
    rows,
    notes: [
      `under sand ÷ plain: ${formatRatio(ratio)} of the time, ${(moreMs / 1000).toFixed(2)} s more; medians of each round's own`,
      `CPU of all processes: ${formatRatio(mean(sand.processorTimes) / mean(plain.processorTimes))}`,
      `aim: within ${AIM.share * 100} % or ${AIM.seconds} s: ${isMet ? 'met' : 'missed'}`,
      `${ROUNDS} alternating rounds after ${WARM_UPS} warm-up`,
      ...notes,
    ],
  };
}
