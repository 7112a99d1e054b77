/**
 * Fetches the kernel of emulated machines once, for all tests of the project `vm`. Where that cannot be done they are skipped with
 * their reason; in CI that is a failure.
 */
import { fetchKernel } from '../../emulators/container/runtime/qemu/kernel.ts';

export function setup(): void {
  try {
    fetchKernel();
  } catch (error) {
    if (process.env.CI) throw error;
    console.log(`no kernel for emulated machines: ${String(error)}`);
  }
}
