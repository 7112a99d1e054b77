/** What a process says on a stream, as far as it is kept, and waiting for it with a bound. */
import type { Readable } from 'node:stream';

export interface Collected {
  /** The text when the stream has ended, or ends with `last`. */
  readonly whole: Promise<string>;
  text(): string;
}

/**
 * Keeps about the first `bytes`, and reads the rest, so that nobody stalls. `last`: what ends it where another process
 * keeps the stream open.
 */
export function collect(stream: Readable | undefined, bytes: number, last?: string): Collected {
  let text = '';
  if (stream === undefined) return { whole: Promise.resolve(''), text: () => '' };
  stream.setEncoding('utf8');
  const whole = new Promise<string>((resolve) => {
    stream.on('data', (chunk: string) => {
      if (text.length < bytes) text += chunk;
      if (last !== undefined && text.endsWith(last)) resolve(text);
    });
    stream.on('error', () => resolve(text));
    stream.on('close', () => resolve(text));
    stream.on('end', () => resolve(text));
  });
  return { whole, text: () => text };
}

/** Keeps no process alive by itself. */
export function delayed(timeoutMs: number): Promise<null> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(null), timeoutMs).unref();
  });
}
