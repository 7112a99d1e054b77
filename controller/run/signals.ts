/**
 * The caller's signals during a run. On a terminal the kernel gives the keyboard's signals to the guest's
 * command itself, so sand only must not die of them; others are passed on.
 */
import type { SignalSource } from './session.ts';

const KEYBOARD: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];
const PASSED: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR2'];

export function processSignals(terminal: boolean): SignalSource {
  return {
    listen(receive) {
      const handlers = [...KEYBOARD, ...PASSED].map((signal) => {
        const ignored = terminal && KEYBOARD.includes(signal);
        const handler = () => {
          if (!ignored) receive(signal);
        };
        process.on(signal, handler);
        return { signal, handler };
      });
      return () => {
        for (const { signal, handler } of handlers) process.off(signal, handler);
      };
    },
  };
}
