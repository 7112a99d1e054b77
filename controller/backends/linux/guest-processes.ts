/** The processes of a guest as the host sees them, and asking them to end. Each wait is bounded. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_AGAIN_MS = 50;

/** Of the guest whose first process this is, without that one and without zombies; none when it has ended. */
export function guestProcesses(initPid: number): readonly number[] {
  const namespace = pidNamespace(initPid);
  // Fail closed: what stands in sand's own namespace is the host, and none of it a guest's.
  if (namespace === null || namespace === pidNamespace('self')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== initPid && pidNamespace(pid) === namespace && !isZombie(pid));
}

/** SIGTERM to each, and time to end; what does not is for the end of the guest. */
export async function askToEnd(initPid: number, graceMs: number): Promise<void> {
  for (const pid of guestProcesses(initPid)) terminate(pid);
  const deadline = performance.now() + graceMs;
  while (performance.now() < deadline && guestProcesses(initPid).length > 0) await sleep(LOOK_AGAIN_MS);
}

function pidNamespace(pid: number | 'self'): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
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
