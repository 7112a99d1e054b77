/** Knows processes by their number and the time they began, so that a number that was given away again is not taken for them. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Home, isMissing } from './home.ts';

export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since the machine's start. */
  readonly began: string;
}

/** The folder that the processes of an emulator are written down in. */
type ProcessesHome = Pick<Home, 'processes'>;

const POLL_MS = 10;

/** Null where there is no such process, or only its remains. */
export function identify(pid: number): ProcessIdentity | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return null;
    return { pid, began: fields[19] ?? '' };
  } catch (error) {
    if (isMissing(error) || (error instanceof Error && 'code' in error && error.code === 'ESRCH'))
      return null;
    throw error;
  }
}

export function isAlive({ pid, began }: ProcessIdentity): boolean {
  return identify(pid)?.began === began;
}

/** Whether there was such a process. */
export function sendSignal(target: ProcessIdentity, signal: NodeJS.Signals | number): boolean {
  if (!isAlive(target)) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

/** Whether it has ended within the time. */
export async function waitForEnd(target: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(target)) {
    if (Date.now() >= deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** Written down, so that `endEmulator` finds what a test has left. */
export function recordProcess(home: ProcessesHome, pid: number): void {
  const identity = identify(pid);
  if (identity === null) return;
  mkdirSync(home.processes, { recursive: true });
  writeFileSync(join(home.processes, String(pid)), identity.began);
}

export function forgetProcess(home: ProcessesHome, pid: number): void {
  rmSync(join(home.processes, String(pid)), { force: true });
}

export function recordedProcesses(home: ProcessesHome): readonly ProcessIdentity[] {
  try {
    return readdirSync(home.processes).flatMap((name) => {
      const began = readFileSync(join(home.processes, name), 'utf8');
      return began === '' ? [] : [{ pid: Number(name), began }];
    });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
