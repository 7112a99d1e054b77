/** Carries one output of a command from the tool to where the caller wants it, no faster than that is taken. */
import type { Readable } from 'node:stream';
import type { GuestCommand } from '../backend.ts';

export interface CommandOutput {
  /** Whether whoever reads it has not taken all yet. */
  isBlocked(): boolean;
  /** Resolves when the stream has ended and all of it was taken. Never rejects. */
  readonly settled: Promise<void>;
}

export interface OutputReader {
  /** What of a piece is the command's. */
  own(chunk: Buffer): Buffer;
  /** What was held back, at the end. */
  rest?(): Buffer;
  /** There was something to write, and whoever read it has gone. */
  unread(): void;
}

export function passOutput(
  stream: Readable | undefined,
  name: 'stdout' | 'stderr',
  command: GuestCommand,
  { own, rest = () => Buffer.alloc(0), unread }: OutputReader,
): CommandOutput {
  if (stream === undefined) return { isBlocked: () => false, settled: Promise.resolve() };
  if (kindOf(name, command) === 'inherit') outliveReader(process[name]);
  let pending = 0;
  const take = async (chunk: Buffer): Promise<void> => {
    if (chunk.length === 0) return;
    pending += 1;
    stream.pause();
    await give(chunk, name, command, unread).catch(() => {});
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

async function give(
  chunk: Buffer,
  name: 'stdout' | 'stderr',
  command: GuestCommand,
  unread: () => void,
): Promise<void> {
  if (kindOf(name, command) === 'pipe') return command.output?.(name, chunk);
  const { promise: written, resolve } = Promise.withResolvers<void>();
  process[name].write(chunk, (error) => {
    // Where nobody reads any more nothing is kept.
    if (error !== null && error !== undefined) unread();
    resolve();
  });
  return written;
}

function kindOf(name: 'stdout' | 'stderr', { stdio }: GuestCommand): GuestCommand['stdio'][number] {
  return stdio[name === 'stdout' ? 1 : 2];
}

/** Else this program would end with its reader, and leave the guest behind. */
function outliveReader(stream: NodeJS.WriteStream): void {
  if (!stream.listeners('error').includes(passOver)) stream.on('error', passOver);
}

function passOver(): void {}
