/**
 * Writes refused floods so that they cannot fill a disk: the first refusal of a kind as it is, the next counted
 * and told together, once in a while and when the flood ends. Decides on counts only.
 */
import type { DnsDecision } from '../audit/event.ts';

export interface RefusalLog {
  /** Throws what `record` throws, for the first of a burst alone, which alone says who asked. */
  add(kind: string, refusal: DnsDecision, opener?: () => Pick<DnsDecision, 'process'>): void;
  /** Tells what is still untold. */
  close(): void;
}

interface Burst {
  /** Refusals since the last that was told. */
  untold: number;
  last: DnsDecision;
  readonly timer: NodeJS.Timeout;
}

/**
 * `kind` comes from a short list of sand's own, never from a message: there is one burst for each. A count that
 * cannot be recorded is lost: what it counts was refused.
 */
export function createRefusalLog(windowMs: number, record: (entry: DnsDecision) => unknown): RefusalLog {
  const bursts = new Map<string, Burst>();

  function tell(burst: Burst): void {
    const { untold, last } = burst;
    burst.untold = 0;
    const detail = last.detail === undefined ? '' : `; the last: ${last.detail}`;
    try {
      const told = `and ${untold} more refused like the one before${detail}`.slice(0, 300);
      record({ ...last, detail: told, count: untold });
    } catch {
      // Fail closed: each of them was refused whether or not the log takes the line.
    }
  }

  function endWindow(kind: string, burst: Burst): void {
    if (burst.untold === 0) {
      bursts.delete(kind);
      return;
    }
    tell(burst);
    burst.timer.refresh();
  }

  return {
    add(kind, refusal, opener = () => ({})) {
      const open = bursts.get(kind);
      if (open !== undefined) {
        open.untold += 1;
        open.last = refusal;
        return;
      }
      record({ ...refusal, ...opener() });
      const timer = setTimeout(() => endWindow(kind, burst), windowMs);
      // A count that is still open is told by `close`; it keeps no process alive.
      timer.unref();
      const burst: Burst = { untold: 0, last: refusal, timer };
      bursts.set(kind, burst);
    },
    close() {
      for (const burst of bursts.values()) {
        clearTimeout(burst.timer);
        if (burst.untold > 0) tell(burst);
      }
      bursts.clear();
    },
  };
}
