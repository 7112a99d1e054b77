/** What the guest of the cable tests connects to: one service a port, of bytes that both sides can make. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { GuestStream } from '../../../controller/links/ethernet/guest-stream.ts';

export const CLIENT = ['python3', fileURLToPath(new URL('./client.py', import.meta.url))];

const BLOCK = createHash('shake256', { outputLength: 1_048_573 }).update('cable').digest();
const PIECE_BYTES = 64 * 1024;
const PORTS = { source: 9001, sink: 9002, echo: 9003, reset: 9004, hold: 9005 };

export const TRANSFER_PORTS = Object.values(PORTS);

function* stretch(length: number): Generator<Buffer> {
  for (let at = 0; at < length; ) {
    const from = at % BLOCK.length;
    const piece = BLOCK.subarray(from, Math.min(from + PIECE_BYTES, from + length - at, BLOCK.length));
    at += piece.length;
    yield piece;
  }
}

export function digestOf(length: number): string {
  const digest = createHash('sha256');
  for (const piece of stretch(length)) digest.update(piece);
  return digest.digest('hex');
}

export interface TransferOptions {
  /** Waits between two reads of what is sunk. */
  readonly slowMs?: number;
  readonly held?: (stream: GuestStream) => void;
}

export function createTransfers({ slowMs = 0, held }: TransferOptions = {}): (stream: GuestStream) => void {
  return (stream) => {
    switch (stream.localPort) {
      case PORTS.source:
        stream.once('data', (asked: Buffer) => {
          Readable.from(stretch(Number(asked.readBigUInt64BE()))).pipe(stream);
        });
        break;
      case PORTS.sink:
        void sink(stream, slowMs);
        break;
      case PORTS.echo:
        stream.pipe(stream);
        break;
      case PORTS.reset:
        stream.once('data', () => stream.resetAndDestroy());
        break;
      default:
        stream.once('data', () => stream.write('y'));
        held?.(stream);
    }
  };
}

/** Says how much came, and what, once the guest has ended its side. */
async function sink(stream: GuestStream, slowMs: number): Promise<void> {
  const digest = createHash('sha256');
  let count = 0;
  stream.on('end', () => stream.end(`${count} ${digest.digest('hex')}`));
  stream.on('data', (chunk: Buffer) => {
    count += chunk.length;
    digest.update(chunk);
    if (slowMs === 0) return;
    stream.pause();
    setTimeout(() => stream.resume(), slowMs);
  });
}
