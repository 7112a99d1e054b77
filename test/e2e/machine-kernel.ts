/**
 * Fetches the kernel of emulated machines once, for all tests of the project `vm`. Where there can be no machines they are skipped with
 * their reason; in CI, as root on x86-64, that is a failure.
 */
import { fetchKernel } from '../emulators/machine/kernel.ts';
import { missingParts } from '../emulators/machine/parts.ts';

export function setup(): void {
  if (process.arch !== 'x64' || process.getuid?.() !== 0) return;
  try {
    fetchKernel();
    const missing = missingParts();
    if (missing.length > 0) throw new Error(`there is no ${missing.join(', no ')}`);
  } catch (error) {
    if (process.env.CI) throw error;
    console.log(`no emulated machines: ${String(error)}`);
  }
}
