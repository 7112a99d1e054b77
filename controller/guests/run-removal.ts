/**
 * Which ended runs `sand audit prune` removes, and their removal: whole folders of runs, and nothing else that lies beside
 * them. What is live, or a guest that is not removed, stays whatever its age.
 */
import { type Dirent, lstatSync, readdirSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readLogEnds } from '../../audit/ends.ts';
import { isRunId, listRuns, type RunPlace } from '../../audit/runs.ts';
import { isAlive, readRunState } from '../run/run-state.ts';
import { listGuests } from './registry.ts';

export interface EndedRun {
  readonly run: RunPlace;
  /** Milliseconds since the epoch: its seal, or what was last written of one that was killed. */
  readonly endedMs: number;
  readonly bytes: number;
}

export interface KeptRun {
  readonly run: RunPlace;
  readonly bytes: number;
  readonly why: 'runs' | 'is a guest that is not removed' | 'cannot be told to have ended';
}

export interface RunsOnDisk {
  /** Oldest end first. */
  readonly ended: readonly EndedRun[];
  readonly kept: readonly KeptRun[];
}

export interface RemovalWish {
  /** Runs that ended before this; milliseconds since the epoch. Null: none for their age. */
  readonly beforeMs: number | null;
  /** What all runs together may take; the oldest go until they do. Null: any. */
  readonly mostBytes: number | null;
}

const LIMITS = {
  /** A run's folder has a handful of files; a guest's own root can have many, and they are removed with the guest. */
  entries: 200_000,
  /** So long after its last sign a run without a state or a seal may still be coming up. */
  youngMs: 10 * 60_000,
} as const;

/** The runs to remove, oldest first. Pure. */
export function planRemoval({ ended, kept }: RunsOnDisk, wish: RemovalWish): readonly EndedRun[] {
  let bytes = [...ended, ...kept].reduce((sum, run) => sum + run.bytes, 0);
  const going: EndedRun[] = [];
  for (const run of ended) {
    const isOld = wish.beforeMs !== null && run.endedMs < wish.beforeMs;
    const isTooMuch = wish.mostBytes !== null && bytes > wish.mostBytes;
    if (!isOld && !isTooMuch) continue;
    going.push(run);
    bytes -= run.bytes;
  }
  return going;
}

/** Links, files and folders of other names are passed over: `listRuns` gives plain folders with a run's name alone. */
export async function surveyRuns(root: string, nowMs: number): Promise<RunsOnDisk> {
  const guests = new Set(listGuests(root).map(({ run }) => run.id));
  const ended: EndedRun[] = [];
  const kept: KeptRun[] = [];
  for (const run of await listRuns(root)) {
    const bytes = folderBytes(run.directory);
    const standing = guests.has(run.id)
      ? ({ why: 'is a guest that is not removed' } as const)
      : await endOf(run, nowMs);
    if ('why' in standing) kept.push({ run, bytes, why: standing.why });
    else ended.push({ run, bytes, endedMs: standing.endedMs });
  }
  ended.sort((a, b) => a.endedMs - b.endedMs || (a.run.id < b.run.id ? -1 : 1));
  return { ended, kept };
}

async function endOf(
  run: RunPlace,
  nowMs: number,
): Promise<{ readonly endedMs: number } | Pick<KeptRun, 'why'>> {
  const last = await lastEvent(run);
  const lastMs = last === null ? newestMs(run) : Date.parse(last.time);
  try {
    const state = readRunState(run);
    if (state !== null && isAlive(state)) return { why: 'runs' };
    if (state === null && last?.kind !== 'run-end' && nowMs - newestMs(run) < LIMITS.youngMs)
      return { why: 'runs' };
  } catch {
    // Fail closed: a state that does not read says nothing of its supervisor, so only a seal tells that it is over.
    if (last?.kind !== 'run-end') return { why: 'cannot be told to have ended' };
  }
  return { endedMs: lastMs };
}

async function lastEvent(run: RunPlace) {
  try {
    return (await readLogEnds(run.auditPath)).last;
  } catch {
    return null;
  }
}

/** When something in the run's folder was last written. */
function newestMs({ directory }: RunPlace): number {
  const times = readFolder(directory).map(({ name }) => mtimeOf(join(directory, name)));
  return Math.max(mtimeOf(directory), ...times);
}

function mtimeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Of its own files and folders; what a link leads to does not count. */
function folderBytes(directory: string): number {
  const waiting = [directory];
  let bytes = 0;
  let entries = 0;
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    for (const entry of readFolder(folder)) {
      entries += 1;
      if (entries > LIMITS.entries) return bytes;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) waiting.push(path);
      else bytes += lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
    }
  }
  return bytes;
}

function readFolder(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

const GONE = '.removed';

/**
 * The folder is renamed first, so that a removal that is cut short leaves no half of a run. Gives what went wrong, or
 * null. Asks again whether it is a plain folder: since the survey somebody may have put a link in its place.
 */
export async function removeRun(run: RunPlace): Promise<string | null> {
  const gone = `${run.directory}${GONE}`;
  try {
    // Fail closed: a link in the place of a run leads to somebody else's files.
    if (!lstatSync(run.directory).isDirectory()) return 'is no folder any more';
    renameSync(run.directory, gone);
    await rm(gone, { recursive: true, force: true });
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What removals that were cut short have left. */
export async function removeLeftovers(root: string): Promise<void> {
  for (const entry of readFolder(root)) {
    const id = entry.name.slice(0, -GONE.length);
    if (!entry.isDirectory() || entry.name !== `${id}${GONE}` || !isRunId(id)) continue;
    await rm(join(root, entry.name), { recursive: true, force: true });
  }
}
