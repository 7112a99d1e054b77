/**
 * Opens what agent.c does in a guest's machine: the ends of a process that entry.c runs there, and a signal to one.
 * How the streams get there is decided by the caller: the keeper has the port, and other calls of the tool go through it.
 */
import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Ends } from '../container/runtime/ends.ts';
import type { Stdio } from '../container/runtime/runtime.ts';

export type Open = (payload: Buffer) => Duplex;

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const REPORT = 3;
const RESIZE = 4;
const MOST_CALLS = 2 ** 31;

export function openProcess(
  open: Open,
  steps: readonly string[],
  { isInteractive, isAttached }: Stdio,
  isTerminal: boolean,
): Ends {
  const call = randomInt(1, MOST_CALLS);
  const wanted = [
    ...(isInteractive ? [STDIN] : []),
    ...(isAttached ? [STDOUT, STDERR] : []),
    REPORT,
    ...(isTerminal && isAttached ? [RESIZE] : []),
  ];
  const mask = wanted.reduce((bits, fd) => bits | (1 << fd), 0);
  const words = [`run ${call} ${mask}`, ...steps].map((word) => `${word}\0`).join('');
  const streams = new Map<number, Duplex>();
  for (const fd of wanted) {
    const stream = open(Buffer.from(fd === REPORT ? words : `fd ${call} ${fd}\0`));
    streams.set(fd, stream);
    if (fd === STDIN || fd === RESIZE) stream.resume();
    else stream.end();
    if (fd !== STDIN) stream.on('error', () => stream.destroy());
  }
  const at = (fd: number) => streams.get(fd) ?? null;
  return {
    stdin: at(STDIN),
    stdout: at(STDOUT),
    stderr: at(STDERR),
    report: at(REPORT),
    resize: at(RESIZE),
    // Where there is no way to the machine, its report ends.
    onError: () => {},
    leave() {
      for (const stream of streams.values())
        if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
    },
  };
}

/** Resolves when it was sent, or when there is no machine any more. */
export function sendGuestSignal(open: Open, pid: number, signal: number): Promise<void> {
  return new Promise((resolve) => {
    const stream = open(Buffer.from(`signal ${pid} ${signal}\0`));
    stream.resume();
    stream.end();
    stream.on('error', () => stream.destroy());
    stream.once('close', () => resolve());
  });
}
