/** Whether a living guest has a file among its mounts, so that the file has to keep its place on the disk. */
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { viewGuests } from '../guests/guests.ts';

/** `runs` is the folder of the runs; the folder of `path` exists. */
export function isHeld(runs: string, path: string): boolean {
  const real = join(realpathSync.native(dirname(path)), basename(path));
  return viewGuests(runs).some(({ standing, state }) => {
    if (standing === 'ended' || standing === 'broken') return false;
    // A guest that comes up has told nothing yet: its mounts may be anywhere.
    return state === null || state.mounts.some(({ source }) => isWithin(real, source));
  });
}

function isWithin(path: string, source: string): boolean {
  return path === source || path.startsWith(source.endsWith('/') ? source : `${source}/`);
}
