/** What of the host shows afterwards that a guest got at it without a connection: its addresses, and its clipboard. */
import { networkInterfaces } from 'node:os';
import type { Capabilities } from '../backends/backend.ts';
import { runTool } from '../process/runner.ts';
import type { HostEvidence } from './attack.ts';

const CLIPBOARD_MS = 5_000;

export async function lookAtHost(
  guestSystem: Capabilities['guestSystem'],
): Promise<Pick<HostEvidence, 'addresses' | 'clipboard'>> {
  const addresses = Object.values(networkInterfaces()).flatMap((of) =>
    (of ?? []).map(({ address }) => address),
  );
  return { addresses, clipboard: guestSystem === 'macos' ? await readClipboard() : null };
}

/** Of a Mac. Nothing is put on it here: what a guest put on its own would show. */
async function readClipboard(): Promise<string | null> {
  try {
    const { exitCode, stdout } = await runTool('pbpaste', [], { timeoutMs: CLIPBOARD_MS });
    return exitCode === 0 ? stdout : null;
  } catch {
    return null;
  }
}
