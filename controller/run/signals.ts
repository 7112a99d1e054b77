/** The caller's signals during a run, and which of them the terminal has given to the guest's command as well. */
import type { SignalSource } from './session-request.ts';

const KEYBOARD: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];
const PASSED: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR2'];

/** `without`: signals that this process hears for itself. */
export function processSignals(terminal: boolean, without: readonly NodeJS.Signals[] = []): SignalSource {
  return {
    listen(receive) {
      const heard = [...KEYBOARD, ...PASSED].filter((signal) => !without.includes(signal));
      const handlers = heard.map((signal) => {
        const shared = terminal && KEYBOARD.includes(signal);
        const handler = () => receive(signal, shared);
        process.on(signal, handler);
        return { signal, handler };
      });
      return () => {
        for (const { signal, handler } of handlers) process.off(signal, handler);
      };
    },
  };
}
