/**
 * What of a started guest another process needs to run a command in it, as plain data and back. Decides no right: who
 * can read it is the same user, who owns the guest.
 */
import { SandError } from '../../errors.ts';
import { type GuestHandle, ISOLATIONS, type Isolation } from '../backend.ts';
import type { Launcher } from './launcher.ts';

export interface LinuxHandle {
  /** A process in the link's user namespace and the guest's network namespace. */
  readonly holderPid: number;
  /** The guest's first process. */
  readonly initPid: number;
  /** `net:[inode]` of the guest's namespace. */
  readonly namespace: string;
  readonly uid: number;
  readonly gid: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly workdir: string;
  /** Where the guest may write, by its own paths. */
  readonly writable: readonly string[];
  /** Of the control groups that every process of the guest joins. */
  readonly procsFiles: readonly string[];
  /** What commands are started with in it. */
  readonly launcher: Launcher;
  readonly isolation: Isolation;
  /** A name that only this guest's gateway knows. */
  readonly reservedName: string;
}

export function formatHandle(handle: LinuxHandle): GuestHandle {
  return { ...handle };
}

/** Raises `control-failed` for anything else than a handle of this backend. */
export function parseHandle(handle: GuestHandle): LinuxHandle {
  const { holderPid, initPid, namespace, uid, gid, environment, workdir, writable } = handle;
  const { procsFiles, launcher, isolation, reservedName } = handle;
  if (
    isCount(holderPid) &&
    isCount(initPid) &&
    typeof namespace === 'string' &&
    isCount(uid) &&
    isCount(gid) &&
    isTextRecord(environment) &&
    typeof workdir === 'string' &&
    isTextList(writable) &&
    isTextList(procsFiles) &&
    isLauncher(launcher) &&
    isIsolation(isolation) &&
    typeof reservedName === 'string'
  ) {
    const identity = { uid, gid };
    return {
      holderPid,
      initPid,
      namespace,
      ...identity,
      environment,
      workdir,
      writable,
      procsFiles,
      launcher,
      isolation,
      reservedName,
    };
  }
  // Fail closed: a command is not started by half of what it needs.
  throw new SandError(
    'control-failed',
    'the guest was started by another version of sand, and this one does not understand what it says',
    'use the `sand` that started it',
  );
}

function isLauncher(value: unknown): value is Launcher {
  if (typeof value !== 'object' || value === null) return false;
  const words: Readonly<Record<string, unknown>> = { ...value };
  return ['bubblewrap', 'shell', 'cat', 'readlink', 'env'].every((name) => isTextList(words[name]));
}

function isIsolation(value: unknown): value is Isolation {
  return ISOLATIONS.some((one) => one === value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function isTextRecord(value: unknown): value is Readonly<Record<string, string>> {
  return typeof value === 'object' && value !== null && isTextList(Object.values(value));
}
