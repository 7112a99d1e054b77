/**
 * What a process is told apart by from a later one of the same number, and whether this one may read its terminal: by /proc
 * on Linux, by ps(1) on macOS. What follows from it is the asker's.
 */
import { readFileSync } from 'node:fs';
import { type BriefTool, runBriefly } from './brief-tool.ts';

/** Null: there is no such process. `unknown`: nobody could be asked. */
export type ProcessStart = string | null | 'unknown';

export interface ProcessSight {
  /**
   * When a process began, as the system tells it: in clock ticks since boot on Linux (proc(5), stat field 22), as a date in UTC on
   * macOS.
   */
  start(pid: number): ProcessStart;
  /** Whether this process is in the foreground of its terminal. */
  isForeground(): boolean;
}

export function processSight(platform: NodeJS.Platform = process.platform): ProcessSight {
  return platform === 'darwin' ? psSight() : PROC_SIGHT;
}

const PROC_SIGHT: ProcessSight = {
  start(pid) {
    try {
      const fields = statFields(String(pid));
      // One that nobody has asked for its end yet is still listed, and does nothing any more.
      return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
    } catch {
      return null;
    }
  },
  /** See proc(5), stat: pgrp and tpgid. */
  isForeground() {
    try {
      const fields = statFields('self');
      return fields[2] === fields[5];
    } catch {
      return true;
    }
  },
};

/** The second field is a name that may hold spaces and parentheses; the fields after it are counted. */
function statFields(process: string): readonly string[] {
  const stat = readFileSync(`/proc/${process}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

const PS = '/bin/ps';

/** `exists` asks the kernel, which costs nothing, before a program is started for the rest. */
export function psSight(
  run: BriefTool = runBriefly,
  exists: (pid: number) => boolean = isThere,
): ProcessSight {
  return {
    start(pid) {
      if (!exists(pid)) return null;
      const { exitCode, stdout } = run(PS, ['-o', 'stat=', '-o', 'lstart=', '-p', String(pid)]);
      if (exitCode === null) return 'unknown';
      const [state, ...date] = stdout.trim().split(/\s+/);
      if (exitCode !== 0 || state === undefined || state === '' || state.startsWith('Z')) return null;
      return date.length === 0 ? 'unknown' : date.join(' ');
    },
    isForeground() {
      const { exitCode, stdout } = run(PS, ['-o', 'pgid=', '-o', 'tpgid=', '-p', String(process.pid)]);
      const [group, foreground] = stdout.trim().split(/\s+/);
      // As where /proc does not tell: a question that nobody sees would wait in vain.
      return exitCode !== 0 || foreground === undefined || group === foreground;
    },
  };
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && Reflect.get(error, 'code') === 'EPERM';
  }
}
