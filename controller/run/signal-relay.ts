/** The caller's signals during a run: whose they are, and when they were too many. */

/**
 * A command may outlive the signals that ask it to end, as in a plain shell; the caller who sends this many
 * means it, and the guest is ended by force.
 */
export const FORCE_AFTER_SIGNALS = 3;
const ENDING_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/** Before a command runs, a signal ends the run; then it is the command's, until there were too many. */
export function createSignalRelay(on: {
  readonly early: (signal: NodeJS.Signals) => void;
  readonly force: () => void;
}) {
  let command: { forward(signal: NodeJS.Signals): void } | null = null;
  let asked = 0;
  return {
    started: (running: { forward(signal: NodeJS.Signals): void }) => {
      command = running;
    },
    /** Between two commands, a signal ends the run as it does before the first. */
    ended: () => {
      command = null;
    },
    receive: (signal: NodeJS.Signals, shared: boolean) => {
      if (command === null) return on.early(signal);
      if (shared) return;
      command.forward(signal);
      if (ENDING_SIGNALS.includes(signal)) asked += 1;
      if (asked >= FORCE_AFTER_SIGNALS) on.force();
    },
  };
}
