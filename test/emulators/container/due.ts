/** Counts the calls of an emulated tool, and says which faults of a call are due at this one. */
import { type Home, readJson, writeJson } from './home.ts';
import { withLock } from './lock.ts';

export interface CountedFault {
  readonly fault: string;
  /** The verb, for faults of a call. */
  readonly command?: string;
  /** Each call that it meets counts: this many are let through first. */
  readonly skip?: number;
  /** After these it is over. */
  readonly times?: number;
  /** Only each n-th of those left. */
  readonly every?: number;
}

export async function takeDue<T extends CountedFault>(
  home: Pick<Home, 'root' | 'countsFile'>,
  faults: readonly T[],
  isMet: (fault: T) => boolean,
  command: string,
): Promise<readonly T[]> {
  const met = [...faults.entries()].filter(([, fault]) => isMet(fault));
  if (met.length === 0) return [];
  return withLock(home, 'counts', async () => {
    const counts = readJson<Record<string, number>>(home.countsFile) ?? {};
    const due = met.filter(([at, fault]) => {
      const key = `${at} ${fault.fault} ${command}`;
      const count = counts[key] ?? 0;
      counts[key] = count + 1;
      return isDue(fault, count);
    });
    writeJson(home.countsFile, counts);
    return due.map(([, fault]) => fault);
  });
}

function isDue(
  { skip = 0, times = Number.POSITIVE_INFINITY, every = 1 }: CountedFault,
  count: number,
): boolean {
  const at = count - skip;
  return at >= 0 && at % every === every - 1 && Math.floor(at / every) < times;
}
