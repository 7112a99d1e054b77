/** The guests of this user as they stand now, and removing what is left of those that have ended or were killed. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, type RunState, readRunState } from '../run/run-state.ts';
import { removeJournalled } from './journal.ts';
import { type GuestRecord, listGuests, releaseGuest } from './registry.ts';
import { type Standing, standingOf } from './standing.ts';

export interface GuestView {
  readonly record: GuestRecord;
  /** Null: its run was killed before it wrote anything, or what it wrote does not read. */
  readonly state: RunState | null;
  readonly standing: Standing;
}

export function viewGuest(record: GuestRecord): GuestView {
  try {
    const state = readRunState(record.run);
    const isBegun = state !== null || !isYoung(record);
    const standing = isBegun ? standingOf(state, state !== null && isAlive(state)) : 'starting';
    return { record, state, standing };
  } catch {
    return { record, state: null, standing: 'broken' };
  }
}

export function viewGuests(runs: string): readonly GuestView[] {
  return listGuests(runs).map(viewGuest);
}

/** Of a guest that does not run: its name, its output, what it owned. The audit log stays. Gives what could not be removed. */
export async function removeGuest(runs: string, { record }: GuestView): Promise<readonly string[]> {
  const left = await removeJournalled(record.run);
  if (left.length > 0) return left;
  for (const name of ['control.sock', 'output.jsonl', 'output.1.jsonl', 'run.json.new'])
    rmSync(join(record.run.directory, name), { force: true });
  releaseGuest(runs, record);
  return [];
}

/** What supervisors that were killed have left; a start does this first, so that nothing piles up. Never raises. */
export async function removeBroken(runs: string): Promise<readonly string[]> {
  const broken = viewGuests(runs).filter(({ standing }) => standing === 'broken');
  const removing = broken.map(async (guest) => {
    try {
      return await removeGuest(runs, guest);
    } catch (error) {
      return [`${guest.record.name}: ${error instanceof Error ? error.message : error}`];
    }
  });
  return (await Promise.all(removing)).flat();
}

/** Between its name and its first state a run is there for a moment, and nobody may take it for a killed one. */
const YOUNG_MS = 60_000;

function isYoung({ run }: GuestRecord): boolean {
  const [, day, time] = /^(\d{8})-(\d{6})/.exec(run.id) ?? [];
  const text = `${day?.replace(/(....)(..)(..)/, '$1-$2-$3')}T${time?.replace(/(..)(..)(..)/, '$1:$2:$3')}Z`;
  return Math.abs(Date.now() - Date.parse(text)) < YOUNG_MS;
}
