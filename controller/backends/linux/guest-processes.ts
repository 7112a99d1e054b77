/** The processes of a guest as the host sees them, and asking them to end. Each wait is bounded. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_AGAIN_MS = 50;

/** Of the guest whose first process this is, without that one and without zombies; none when it has ended. */
export function guestProcesses(initPid: number): readonly number[] {
  const namespace = namespaceOf(initPid, 'pid');
  // Fail closed: what stands in sand's own namespace is the host, and none of it a guest's.
  if (namespace === null || namespace === namespaceOf('self', 'pid')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== initPid && namespaceOf(pid, 'pid') === namespace && !isZombie(pid));
}

/**
 * SIGTERM to each, and time to end; what does not is for the end of the guest. Bubblewrap's own waiting processes, which
 * stand in the holder's user namespace, are left out: they would take their commands along at once.
 */
export async function askToEnd(initPid: number, holderPid: number, graceMs: number): Promise<void> {
  const waiting = namespaceOf(holderPid, 'user');
  for (const pid of guestProcesses(initPid)) if (namespaceOf(pid, 'user') !== waiting) terminate(pid);
  const deadline = performance.now() + graceMs;
  while (performance.now() < deadline && guestProcesses(initPid).length > 0) await sleep(LOOK_AGAIN_MS);
}

function namespaceOf(pid: number | 'self', kind: 'pid' | 'user'): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return null;
  }
}

/** Ended, whether or not anybody has asked for its end. */
export function isZombie(pid: number): boolean {
  try {
    return / Z \d/.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, ''));
  } catch {
    return true;
  }
}

function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has just ended.
  }
}
