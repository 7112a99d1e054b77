/**
 * How long a guest takes from nothing to the end of `true`: sand as it is shipped beside srt, a bare bubblewrap
 * and Node alone, each once a round, whole processes timed from outside.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildPackage } from './built-package.ts';
import { fetchPackage, requirePrograms } from './peers.ts';
import { endedChildrenMs } from './process-figures.ts';
import { mean, median, pairedRatio } from './statistics.ts';
import { formatRatio, formatTable } from './table.ts';
import { findProgram, Workplace } from './workplace.ts';

export const name = 'startup';
export const summary = '`sand run --policy strict -- true` beside `srt true`, `bwrap … true` and `node -e 0`';

const ROUNDS = 10;
const WARM_UPS = 2;
/** What the design aims at: sand's time divided by srt's. */
const AIM = 0.8;

/** What `srt` is told: a policy about as small as `true` needs. */
const SRT_SETTINGS = {
  network: { allowedDomains: ['localhost'], deniedDomains: [] },
  filesystem: { denyRead: [], allowWrite: ['./w'], denyWrite: [] },
};
const BWRAP = '--ro-bind / / --dev /dev --proc /proc --unshare-all --die-with-parent true'.split(' ');

interface Case {
  readonly name: string;
  readonly argv: readonly string[];
  readonly times: number[];
  readonly processorTimes: number[];
}

export async function run(): Promise<void> {
  await using workplace = new Workplace();
  const folders = ['workspace', 'workspace/w', 'home', 'state', 'config', 'cache'];
  for (const folder of folders) mkdirSync(join(workplace.folder, folder));
  const notes: string[] = [];
  const sand = buildPackage(workplace.folder);
  const cases: Case[] = [
    createCase('sand run --policy strict -- true', [
      process.execPath,
      sand,
      'run',
      '--policy',
      'strict',
      '--',
      'true',
    ]),
    ...srtCase(workplace.folder, notes),
    ...bwrapCase(notes),
    createCase('node -e 0', [process.execPath, '-e', '0']),
  ];
  for (let round = -WARM_UPS; round < ROUNDS; round += 1) {
    for (const { argv, times, processorTimes } of cases) {
      const before = endedChildrenMs();
      const timeMs = timeOnce(argv, workplace.folder);
      if (round < 0) continue;
      times.push(timeMs);
      processorTimes.push(endedChildrenMs() - before);
    }
  }
  process.stdout.write(formatTable(tableOf(cases, notes)));
}

function createCase(title: string, argv: readonly string[]): Case {
  return { name: title, argv, times: [], processorTimes: [] };
}

function srtCase(folder: string, notes: string[]): readonly Case[] {
  const programs = requirePrograms({ bwrap: 'bubblewrap', socat: 'socat', rg: 'ripgrep' });
  const fetched = programs.ok ? fetchPackage('@anthropic-ai/sandbox-runtime', join(folder, 'srt')) : programs;
  if (!fetched.ok) {
    notes.push(`srt skipped: ${fetched.why}`);
    return [];
  }
  const settings = join(folder, 'srt.json');
  writeFileSync(settings, JSON.stringify(SRT_SETTINGS));
  const command = join(fetched.value.folder, 'dist/cli.js');
  return [
    createCase(`srt true (${fetched.value.version})`, [
      process.execPath,
      command,
      '--settings',
      settings,
      'true',
    ]),
  ];
}

function bwrapCase(notes: string[]): readonly Case[] {
  const bwrap = findProgram('bwrap');
  if (bwrap !== null) return [createCase('bwrap … true', [bwrap, ...BWRAP])];
  notes.push('bwrap skipped: needs bubblewrap (apt-get install bubblewrap)');
  return [];
}

/** A run that fails early looks fast, so its exit status is checked. */
function timeOnce(argv: readonly string[], folder: string): number {
  const [file = '', ...args] = argv;
  const environment = {
    ...process.env,
    HOME: join(folder, 'home'),
    XDG_STATE_HOME: join(folder, 'state'),
    XDG_CONFIG_HOME: join(folder, 'config'),
    XDG_CACHE_HOME: join(folder, 'cache'),
  };
  const start = performance.now();
  const result = spawnSync(file, args, {
    cwd: join(folder, 'workspace'),
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const timeMs = performance.now() - start;
  if (result.status !== 0) throw new Error(`${argv.join(' ')} ended with ${result.status}: ${result.stderr}`);
  return timeMs;
}

function tableOf(cases: readonly Case[], notes: readonly string[]) {
  const [sand] = cases;
  const rows = cases.map(({ name: title, times, processorTimes }) => [
    title,
    median(times).toFixed(0),
    Math.min(...times).toFixed(0),
    Math.max(...times).toFixed(0),
    formatRatio(pairedRatio(sand?.times ?? [], times)),
    mean(processorTimes).toFixed(0),
    formatRatio(mean(sand?.processorTimes ?? []) / mean(processorTimes)),
  ]);
  return {
    head: ['', 'median ms', 'min', 'max', 'sand ÷ it', 'CPU ms', 'sand ÷ it'],
    rows,
    notes: [
      `${ROUNDS} alternating rounds after ${WARM_UPS} warm-ups; ratios of times are medians of each round's own`,
      'CPU is the mean of all its processes together, which a busy machine changes least',
      `aim: sand ÷ srt at most ${AIM}`,
      ...notes,
    ],
  };
}
