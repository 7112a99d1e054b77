/** What the guest of the cable tests connects to: one service a port, of bytes that both sides can make. */
import { createHash } from 'node:crypto';
import { type Duplex, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** Takes other hosts and ports than these by TRANSFER_HOST and TRANSFER_PORTS, in their order. */
export const CLIENT_PROGRAM = fileURLToPath(new URL('./client.py', import.meta.url));
export const CLIENT = ['python3', CLIENT_PROGRAM];

const BLOCK = createHash('shake256', { outputLength: 1_048_573 }).update('cable').digest();
const PIECE_BYTES = 64 * 1024;
const SERVICES = ['source', 'sink', 'echo', 'reset', 'hold'] as const;

export const TRANSFER_PORTS: readonly number[] = [9001, 9002, 9003, 9004, 9005];

/** A connection that the guest opened, as the link or a server of this machine has it. */
type Transferred = Duplex & { readonly localPort?: number | undefined; resetAndDestroy(): unknown };

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

export interface TransferOptions<Stream> {
  /** Where each service is, in the client's order. */
  readonly ports?: readonly number[];
  /** Waits between two reads of what is sunk. */
  readonly slowMs?: number;
  readonly held?: (stream: Stream) => void;
}

export function createTransfers<Stream extends Transferred>({
  ports = TRANSFER_PORTS,
  slowMs = 0,
  held,
}: TransferOptions<Stream> = {}): (stream: Stream) => void {
  return (stream) => {
    switch (SERVICES[ports.indexOf(stream.localPort ?? 0)]) {
      case 'source':
        stream.once('data', (asked: Buffer) => {
          Readable.from(stretch(Number(asked.readBigUInt64BE()))).pipe(stream);
        });
        break;
      case 'sink':
        void sink(stream, slowMs);
        break;
      case 'echo':
        stream.pipe(stream);
        break;
      case 'reset':
        stream.once('data', () => stream.resetAndDestroy());
        break;
      default:
        stream.once('data', () => stream.write('y'));
        held?.(stream);
    }
  };
}

/** Says how much came, and what, once the guest has ended its side. */
async function sink(stream: Duplex, slowMs: number): Promise<void> {
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
