/**
 * Which of the caller's standard streams a guest is handed: never a folder, since from an open one every path
 * of the host can be reached, whatever is mounted.
 */
import { fstatSync } from 'node:fs';
import { SandError } from '../errors.ts';
import type { GuestCommand } from './backend.ts';

const NAMES = ['input', 'output', 'error'] as const;

/** Raises `workspace-refused`. */
export function requireNoFolder(stdio: GuestCommand['stdio']): void {
  stdio.forEach((kind, descriptor) => {
    if (kind !== 'inherit' || !fstatSync(descriptor).isDirectory()) return;
    throw new SandError(
      'workspace-refused',
      `standard ${NAMES[descriptor]} is a folder, which would open the whole host to the guest`,
      'redirect it from a file or /dev/null, and name the folder with --mount',
    );
  });
}
