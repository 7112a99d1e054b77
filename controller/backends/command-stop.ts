/** When a command is asked to end and when it is made to. How either is done is its isolation's. */
import type { GuestCommand } from './backend.ts';

export interface CommandStop {
  /** Whether it was asked or made to end. */
  stopped(): boolean;
  /** The command has ended. */
  release(): void;
}

/** An abort of `signal` asks, and ends after the command's grace; one of the command's `kill` ends at once. */
export function stopOnAbort(
  signal: AbortSignal,
  command: Pick<GuestCommand, 'graceMs' | 'kill'>,
  how: { readonly ask: () => void; readonly end: () => void },
): CommandStop {
  let timer: NodeJS.Timeout | null = null;
  let stopped = false;
  const end = () => {
    stopped = true;
    how.end();
  };
  const stop = () => {
    stopped = true;
    how.ask();
    // Read now: it is what is left of the grace.
    timer = setTimeout(end, command.graceMs);
  };
  const steps = [
    { on: signal, step: stop },
    { on: command.kill, step: end },
  ];
  for (const { on, step } of steps) {
    if (on.aborted) step();
    else on.addEventListener('abort', step, { once: true });
  }
  return {
    stopped: () => stopped,
    release() {
      for (const { on, step } of steps) on.removeEventListener('abort', step);
      if (timer !== null) clearTimeout(timer);
    },
  };
}
