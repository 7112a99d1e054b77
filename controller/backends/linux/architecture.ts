/** The processor that guests run on, as far as there is a filter for it. */
import { SandError } from '../../errors.ts';
import type { Architecture } from './seccomp.ts';

/** Raises `backend-unavailable`. */
export function architecture(): Architecture {
  if (process.arch === 'x64' || process.arch === 'arm64') return process.arch;
  // Fail closed: without a filter for this processor there is no guest.
  throw new SandError(
    'backend-unavailable',
    `the linux backend has no system call filter for ${process.arch}`,
    'use an x86-64 or arm64 machine',
  );
}
