/**
 * The way in to a guest whose tool publishes no port: for each connection a command in the guest that dials its server,
 * with the bytes on the command's own standard streams. How such a command is started is the backend's.
 */
import { Duplex, type Readable } from 'node:stream';
import type { Dial, Dialled } from '../dial.ts';

/** A command whose standard streams are pipes. */
export interface DialProcess {
  readonly output: Readable;
  /** Gives false where the other end wants no more for now; `done` is called when it may go on. */
  write(chunk: Buffer, done: (error?: Error | null) => void): void;
  finish(): void;
  kill(): void;
}

/** Starting a command in a machine takes a while; the dialling itself is bounded in the guest. */
const DIAL_TIMEOUT_MS = 15_000;
/** Of what the relay says when there is no such server. */
const DETAIL_BYTES = 200;

const CONNECTED = 1;

/** Only what was published may be dialled. */
export function createWayIn(ports: readonly number[], start: (port: number) => Promise<DialProcess>): Dial {
  const published = new Set(ports);
  return async (port) => {
    // Fail closed: a way in to what was not published is not made, whoever asks.
    if (!published.has(port)) return { ok: false, detail: 'it is not published' };
    try {
      return await dialled(await start(port));
    } catch (error) {
      return { ok: false, detail: error instanceof Error ? error.message : String(error) };
    }
  };
}

/** The first byte says whether there is a connection; the rest of a refusal says why. */
function dialled(process: DialProcess): Promise<Dialled> {
  const { output } = process;
  return new Promise((resolve) => {
    let said: Buffer = Buffer.alloc(0);
    const refuse = (detail: string) => {
      settle();
      process.kill();
      resolve({ ok: false, detail });
    };
    const timer = setTimeout(() => refuse('no answer'), DIAL_TIMEOUT_MS);
    const onData = (chunk: Buffer) => {
      said = Buffer.concat([said, chunk]);
      if (said[0] === CONNECTED) {
        settle();
        output.pause();
        if (said.length > 1) output.unshift(said.subarray(1));
        resolve({ ok: true, socket: new ProcessSocket(process) });
      } else if (said.length > DETAIL_BYTES) refuse(plain(said));
    };
    const onEnd = () => refuse(said.length === 0 ? 'the dialling command ended' : plain(said));
    const settle = () => {
      clearTimeout(timer);
      output.off('data', onData).off('end', onEnd).off('close', onEnd);
    };
    output
      .on('data', onData)
      .on('end', onEnd)
      .on('close', onEnd)
      .on('error', () => {});
  });
}

/** Text of the guest's. */
function plain(said: Buffer): string {
  return said
    .subarray(1, DETAIL_BYTES)
    .toString('latin1')
    .replaceAll(/[^ -~]/g, ' ')
    .trim();
}

/** Half-closes as a socket does. */
class ProcessSocket extends Duplex {
  readonly #process: DialProcess;

  constructor(process: DialProcess) {
    super({ allowHalfOpen: true });
    this.#process = process;
    process.output
      .on('data', (chunk: Buffer) => {
        if (!this.push(chunk)) process.output.pause();
      })
      .on('end', () => this.push(null))
      .on('close', () => this.destroy());
    process.output.pause();
  }

  override _read(): void {
    this.#process.output.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#process.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#process.finish();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#process.kill();
    done(error);
  }
}
