/**
 * The guests of this user by name: one small file each, which holds the id of the guest's run and can only be made
 * once. Decides nothing about a guest; how one stands is `standing.ts`.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isRunId, type RunPlace, runPlace } from '../../audit/runs.ts';
import { type GuestName, isGuestName } from './name.ts';

export interface GuestRecord {
  readonly name: GuestName;
  readonly run: RunPlace;
}

/** Beside the folder of the runs; mode 0700, for nobody else reads or makes names there. */
function guestsFolder(runs: string): string {
  return join(dirname(runs), 'guests');
}

/** False where the name is taken. `runs` is the folder of the runs. */
export function registerGuest(runs: string, name: GuestName, run: RunPlace): boolean {
  mkdirSync(guestsFolder(runs), { recursive: true, mode: 0o700 });
  try {
    writeFileSync(join(guestsFolder(runs), name), `${run.id}\n`, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'EEXIST') return false;
    throw error;
  }
}

/** Idempotent; takes only the record of that very run. */
export function releaseGuest(runs: string, { name, run }: GuestRecord): void {
  if (findGuest(runs, name)?.run.id !== run.id) return;
  rmSync(join(guestsFolder(runs), name), { force: true });
}

/** Null where there is none, or its file holds something else. */
export function findGuest(runs: string, name: string): GuestRecord | null {
  if (!isGuestName(name)) return null;
  try {
    const id = readFileSync(join(guestsFolder(runs), name), 'utf8').trim();
    return isRunId(id) ? { name, run: runPlace(runs, id) } : null;
  } catch {
    return null;
  }
}

/** By the age of their runs, oldest first. Files of other names are passed over. */
export function listGuests(runs: string): readonly GuestRecord[] {
  return names(runs)
    .map((name) => findGuest(runs, name))
    .filter((record) => record !== null)
    .sort((a, b) => (a.run.id < b.run.id ? -1 : 1));
}

function names(runs: string): readonly string[] {
  try {
    return readdirSync(guestsFolder(runs));
  } catch {
    return [];
  }
}
