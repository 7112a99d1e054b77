/**
 * The guest's cable as a stream of frames, each behind its length in four bytes: what QEMU's `-netdev stream` speaks, and
 * sand's own program in the place of softnet. Splits, joins and waits; looks into no frame.
 */
import type { Duplex } from 'node:stream';
import type { Slab } from './frame-batch.ts';

/** The largest IPv4 packet with its ethernet header; nothing longer is a frame. */
const MAX_FRAME_BYTES = 65_535 + 14;
const PREFIX_BYTES = 4;

/** Called with each frame; the buffer is the receiver's until `settled`. */
export interface CableEnd {
  frame(bytes: Buffer, view: DataView, start: number, end: number): void;
  /** All frames that came at once have been told. */
  settled(): void;
  /** There is room again. */
  drained(): void;
  /** Once: nothing comes any more. */
  lost(detail: string): void;
}

export interface Cable {
  /** To be called once. */
  connect(end: CableEnd): void;
  /** `sent` gives each back. False: no more, until `drained`. */
  write(slabs: readonly Slab[], sent: (slab: Slab) => void): boolean;
  /** Idempotent. */
  close(): void;
}

/** Cuts a stream into frames. Gives false where it is none: then there is no telling where a frame begins. */
export class FrameReader {
  /** The beginning of a frame whose end has not come. */
  #begun: Buffer | null = null;
  #have = 0;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixHave = 0;

  push(chunk: Buffer, end: Pick<CableEnd, 'frame'>): boolean {
    let at = this.#begun === null && this.#prefixHave === 0 ? 0 : this.#finish(chunk, end);
    if (at < 0) return false;
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    while (chunk.length - at >= PREFIX_BYTES) {
      const length = view.getUint32(at);
      if (length > MAX_FRAME_BYTES) return false;
      const start = at + PREFIX_BYTES;
      if (start + length > chunk.length) break;
      end.frame(chunk, view, start, start + length);
      at = start + length;
    }
    return this.#begin(chunk, at);
  }

  /** Completes what the last chunk began; gives how much of this one that took, negative where it is no frame. */
  #finish(chunk: Buffer, end: Pick<CableEnd, 'frame'>): number {
    let at = 0;
    if (this.#begun === null) {
      at = chunk.copy(this.#prefix, this.#prefixHave, 0, PREFIX_BYTES - this.#prefixHave);
      this.#prefixHave += at;
      if (this.#prefixHave < PREFIX_BYTES) return at;
      const length = this.#prefix.readUInt32BE(0);
      if (length > MAX_FRAME_BYTES) return -1;
      this.#begun = Buffer.allocUnsafeSlow(length);
      this.#have = 0;
    }
    const taken = chunk.copy(this.#begun, this.#have, at, at + this.#begun.length - this.#have);
    this.#have += taken;
    at += taken;
    if (this.#have < this.#begun.length) return at;
    const frame = this.#begun;
    this.#begun = null;
    this.#prefixHave = 0;
    end.frame(frame, new DataView(frame.buffer, frame.byteOffset, frame.length), 0, frame.length);
    return at;
  }

  /** Keeps what is left of a chunk. */
  #begin(chunk: Buffer, at: number): boolean {
    if (at >= chunk.length) return true;
    this.#prefixHave = chunk.copy(this.#prefix, 0, at, Math.min(at + PREFIX_BYTES, chunk.length));
    if (this.#prefixHave < PREFIX_BYTES) return true;
    const length = this.#prefix.readUInt32BE(0);
    if (length > MAX_FRAME_BYTES) return false;
    this.#begun = Buffer.allocUnsafeSlow(length);
    this.#have = chunk.copy(this.#begun, 0, at + PREFIX_BYTES);
    return true;
  }
}

/** Over a connected stream; owns it. */
export function createStreamCable(stream: Duplex): Cable {
  let isClosed = false;
  return {
    connect(end) {
      const reader = new FrameReader();
      const lose = (detail: string) => {
        if (isClosed) return;
        isClosed = true;
        stream.destroy();
        end.lost(detail);
      };
      stream.on('data', (chunk: Buffer) => {
        if (isClosed) return;
        const isWhole = reader.push(chunk, end);
        end.settled();
        // Fail closed: what cannot be cut into frames is no cable.
        if (!isWhole) lose('something that is no frame came on it');
      });
      stream.on('drain', () => end.drained());
      stream.on('error', (error: Error) => lose(error.message));
      stream.on('end', () => lose('its other end was closed'));
      stream.on('close', () => lose('it was closed'));
    },
    write(slabs, sent) {
      let mayWrite = true;
      for (const slab of slabs) {
        if (isClosed) sent(slab);
        else mayWrite = stream.write(slab.bytes.subarray(0, slab.used), () => sent(slab));
      }
      return mayWrite || isClosed;
    },
    close() {
      isClosed = true;
      stream.destroy();
    },
  };
}
