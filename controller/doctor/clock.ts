/** Whether the clock is plausible: certificates and rules with an end are judged by it. Pure. */
import type { Finding } from '../backends/backend.ts';
import { ok, warning } from './finding.ts';

/** Older than any release of sand: a clock that shows less was never set. */
const EARLIEST_MS = Date.UTC(2026, 0, 1);
/** Later than any certificate of today. */
const LATEST_MS = Date.UTC(2100, 0, 1);

export function judgeClock(nowMs: number, platform: NodeJS.Platform = process.platform): Finding {
  const shown = Number.isFinite(nowMs) ? new Date(nowMs).toISOString() : String(nowMs);
  if (nowMs >= EARLIEST_MS && nowMs < LATEST_MS) return ok('clock', shown);
  return warning(
    'clock',
    `${shown} cannot be right: certificates will not verify`,
    platform === 'darwin' ? 'sudo sntp -sS time.apple.com' : 'sudo timedatectl set-ntp true',
  );
}
