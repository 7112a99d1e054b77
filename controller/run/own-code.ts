/**
 * Whether a guest could change the program that will confine the next one: sand's own package, or the Node
 * that runs it, inside a folder that the guest may write (a project that installs sand for itself).
 */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { MountSpec } from '../backends/backend.ts';

/** Sentences for the log and the person; empty where all is well. */
export function exposedCode(mounts: readonly MountSpec[]): readonly string[] {
  const own = [realpathSync.native(fileURLToPath(import.meta.url)), realpathSync.native(process.execPath)];
  const writable = mounts.filter((mount) => mount.writable);
  return own
    .filter((path) => writable.some(({ source }) => path.startsWith(`${source}/`)))
    .map(
      (path) =>
        `${path} is part of sand and lies where this guest can write: install sand outside the project`,
    );
}
