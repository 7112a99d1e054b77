/**
 * What a guest used of its limits, and which it reached: text of its groups' files → figures and notices. Pure.
 */
import type { ResourceLimits } from './flags.ts';
import { FIGURES, type FigureName } from './table.ts';

/** Each null where nothing counts it. */
export interface ResourceUsage {
  readonly memoryBytes: number | null;
  readonly memoryPeakBytes: number | null;
  /** Processes that the kernel ended since memory had run out. */
  readonly memoryKills: number | null;
  /** Processes and threads. */
  readonly pids: number | null;
  /** How often one was not started since there were as many as may be. */
  readonly pidsRefused: number | null;
  readonly cpuMs: number | null;
  /** Tenths of a second in which the guest had used up its processor time. */
  readonly throttledPeriods: number | null;
}

/** `read` gives a file of whichever of the guest's groups has it; null for none. */
export function parseUsage(read: (file: string) => string | null): ResourceUsage {
  const figure = (name: FigureName): number | null => {
    for (const source of FIGURES[name]) {
      const [file = '', key] = source.split(' ', 2);
      const number = numberIn(read(file), key);
      if (number !== null) return number;
    }
    return null;
  };
  const cpuUs = figure('cpuUs');
  const cpuNs = figure('cpuNs');
  return {
    memoryBytes: figure('memoryBytes'),
    memoryPeakBytes: figure('memoryPeakBytes'),
    memoryKills: figure('memoryKills'),
    pids: figure('pids'),
    pidsRefused: figure('pidsRefused'),
    cpuMs: cpuUs === null ? scaled(cpuNs, 1_000_000) : scaled(cpuUs, 1_000),
    throttledPeriods: figure('throttledPeriods'),
  };
}

function scaled(value: number | null, unit: number): number | null {
  return value === null ? null : Math.round(value / unit);
}

/** The number in a file of one, or behind a key at the beginning of a line. */
function numberIn(text: string | null, key: string | undefined): number | null {
  if (text === null) return null;
  const line = text.split('\n').find((one) => key === undefined || one.startsWith(`${key} `)) ?? '';
  const digits = (key === undefined ? line : line.slice(key.length + 1)).trim();
  return /^\d+$/.test(digits) ? Number(digits) : null;
}

export interface ResourceEvent {
  readonly code: 'memory-limit-reached' | 'pids-limit-reached';
  readonly detail: string;
}

export function describeEvents(usage: ResourceUsage, limits: ResourceLimits): readonly ResourceEvent[] {
  const events: ResourceEvent[] = [];
  const kills = usage.memoryKills ?? 0;
  if (limits.memoryMiB !== null && kills > 0) {
    const killed = kills === 1 ? '1 process was killed' : `${kills} processes were killed`;
    const detail = `the guest reached its memory limit of ${limits.memoryMiB} MiB (${killed}); --memory sets it`;
    events.push({ code: 'memory-limit-reached', detail });
  }
  const refused = usage.pidsRefused ?? 0;
  if (limits.pids !== null && refused > 0) {
    const starts = refused === 1 ? '1 start was refused' : `${refused} starts were refused`;
    const detail = `the guest reached its limit of ${limits.pids} processes and threads (${starts}); --pids sets it`;
    events.push({ code: 'pids-limit-reached', detail });
  }
  return events;
}
