/** Carries one output of a command from the tool to where the caller wants it, no faster than that is taken. */
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { GuestCommand } from '../backend.ts';

export interface CommandOutput {
  /** Whether whoever reads it has not taken all yet. */
  isBlocked(): boolean;
  /** Resolves when the stream has ended and all of it was taken. Never rejects. */
  readonly settled: Promise<void>;
}

/** `own` gives what of a piece is the command's; `rest` what was held back, at the end. */
export function passOutput(
  stream: Readable | undefined,
  name: 'stdout' | 'stderr',
  command: GuestCommand,
  own: (chunk: Buffer) => Buffer,
  rest: () => Buffer = () => Buffer.alloc(0),
): CommandOutput {
  if (stream === undefined) return { isBlocked: () => false, settled: Promise.resolve() };
  let pending = 0;
  const take = async (chunk: Buffer): Promise<void> => {
    if (chunk.length === 0) return;
    pending += 1;
    stream.pause();
    await give(chunk, name, command).catch(() => {});
    pending -= 1;
    if (pending === 0) stream.resume();
  };
  const settled = new Promise<void>((resolve) => {
    let last = Promise.resolve();
    stream.on('data', (chunk: Buffer) => {
      last = last.then(() => take(own(chunk)));
    });
    const end = () => void last.then(() => take(rest())).then(resolve);
    stream
      .once('end', end)
      .once('close', end)
      .on('error', () => {});
  });
  return { isBlocked: () => pending > 0, settled };
}

async function give(chunk: Buffer, name: 'stdout' | 'stderr', command: GuestCommand): Promise<void> {
  const kind = command.stdio[name === 'stdout' ? 1 : 2];
  if (kind === 'pipe') return command.output?.(name, chunk);
  const to = process[name];
  // Where nobody reads any more nothing is kept.
  if (to.destroyed || to.write(chunk)) return;
  await Promise.race([once(to, 'drain'), once(to, 'close')]).catch(() => {});
}
