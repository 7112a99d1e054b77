/**
 * Waits for a process in the foreground, with the tool's broken passing on of signals: two of them are only complained about,
 * the third ends the call and leaves the guest as it is. A terminal is put into raw mode meanwhile.
 */
import { complain } from './call.ts';
import { Failure } from './failure.ts';
import type { RunningProcess } from './runtime/runtime.ts';

const SIGNALS_THAT_END = 3;

export async function attach(running: RunningProcess, isTerminal: boolean): Promise<number> {
  const { promise: given, reject } = Promise.withResolvers<never>();
  let signals = 0;
  const onSignal = () => {
    signals += 1;
    complain('failed to send signal');
    if (signals >= SIGNALS_THAT_END) reject(new Failure('received three signals, exiting'));
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.removeAllListeners(name);
    process.on(name, onSignal);
  }
  const leave = isTerminal && process.stdin.isTTY === true ? enterRawMode(running) : () => {};
  try {
    const { status } = await Promise.race([running.ended, given]);
    return status;
  } finally {
    leave();
  }
}

function enterRawMode(running: RunningProcess): () => void {
  const tell = () => running.resize(process.stdout.rows ?? 24, process.stdout.columns ?? 80);
  process.stdin.setRawMode(true);
  process.on('SIGWINCH', tell);
  tell();
  return () => process.stdin.setRawMode(false);
}
