/** What of a started guest another process needs to run a command in it, as plain data and back. */
import { SandError } from '../../errors.ts';
import type { GuestHandle } from '../backend.ts';

export interface TartHandle {
  /** Its name for the tool. */
  readonly machine: string;
  /** In the guest. */
  readonly workdir: string;
}

/** The one name that sand gives the machine of a run. */
export function machineName(run: string): string {
  return `sand-${run}`;
}

export function formatHandle(handle: TartHandle): GuestHandle {
  return { ...handle };
}

/** Raises `control-failed` for anything else than a handle of this backend. */
export function parseHandle({ machine, workdir }: GuestHandle): TartHandle {
  if (typeof machine === 'string' && machine.startsWith(machineName('')) && typeof workdir === 'string')
    return { machine, workdir };
  // Fail closed: a command is not started by half of what it needs.
  throw new SandError(
    'control-failed',
    'the guest was started by another version of sand, and this one does not understand what it says',
    'use the `sand` that started it',
  );
}
