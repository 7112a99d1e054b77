/** Waiting for a condition that only looking again can tell. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Looking at a small file costs nothing, and nobody waits for less. */
const LOOK_AGAIN_MS = 100;

/** False where it did not come in time. */
export async function waitUntil(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (condition()) return true;
    if (performance.now() >= deadline) return false;
    await sleep(LOOK_AGAIN_MS);
  }
}
