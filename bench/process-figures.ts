/** What the kernel says of a process: processor time and resident memory. See proc(5). */
import { readFileSync } from 'node:fs';

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** Processor time of a process so far, its ended threads included, in milliseconds. */
export function processorMs(pid: number): number {
  return timesOf(String(pid)).own;
}

/** The same of the children of this process that have ended, and of theirs. */
export function endedChildrenMs(): number {
  return timesOf('self').children;
}

function timesOf(process: string): { readonly own: number; readonly children: number } {
  const stat = readFileSync(`/proc/${process}/stat`, 'latin1');
  // The name may hold spaces; behind it utime, stime, cutime and cstime are the fields from the 12th on.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15).map(Number);
  return { own: (user + system) * TICK_MS, children: (childUser + childSystem) * TICK_MS };
}

export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** How many files and sockets one process may have open here. */
export function descriptorLimit(): number {
  return Number(
    /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? 1024,
  );
}
