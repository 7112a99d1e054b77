/**
 * How `--disk` is shared among the folders of a guest that lie in memory: one number bounds all of them together. What
 * is the host's own disk (the workspace, caches) it does not bound. Pure.
 */

/** 32nds; together not more than the whole. */
const PARTS = { home: 16, '/tmp': 8, '/var/tmp': 4, '/dev/shm': 3, '/run': 1 } as const;
const WHOLE = 32;

/** A folder that only hides one of the host's: a page, so that it is no place to write to. */
const MASK_BYTES = 4_096;

/** What the tmpfs at `target` may hold; null: what the kernel lets it. */
export function tmpfsBytes(diskMiB: number | null, target: string, home: string): number | null {
  if (diskMiB === null) return null;
  const unit = Math.floor((diskMiB * 1024 ** 2) / WHOLE);
  if (target === home) return unit * PARTS.home;
  const part = Object.entries(PARTS).find(([folder]) => folder === target)?.[1];
  return part === undefined ? MASK_BYTES : unit * part;
}
