/** What of a started guest another process needs to run a command in it, as plain data and back. */
import { SandError } from '../../errors.ts';
import type { GuestHandle } from '../backend.ts';

export interface AppleHandle {
  /** Its name for the tool. */
  readonly container: string;
  /** Who its commands are, as the guest's own passwd has it. */
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly workdir: string;
}

/** The one name that sand gives the container of a run. */
export function containerName(run: string): string {
  return `sand-${run}`;
}

export function formatHandle(handle: AppleHandle): GuestHandle {
  return { ...handle };
}

/** Raises `control-failed` for anything else than a handle of this backend. */
export function parseHandle({ container, user, environment, workdir }: GuestHandle): AppleHandle {
  if (
    typeof container === 'string' &&
    container.startsWith(containerName('')) &&
    typeof user === 'string' &&
    typeof workdir === 'string' &&
    isTextRecord(environment)
  ) {
    return { container, user, environment, workdir };
  }
  // Fail closed: a command is not started by half of what it needs.
  throw new SandError(
    'control-failed',
    'the guest was started by another version of sand, and this one does not understand what it says',
    'use the `sand` that started it',
  );
}

function isTextRecord(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((one) => typeof one === 'string')
  );
}
