/**
 * Frames between two threads, in order: one puts, the other takes all that is there at once. Shared memory of a fixed
 * size; who finds it full waits, and so does the cable behind it.
 */

const BYTES = 1024 * 1024;
const PREFIX_BYTES = 4;
/** The largest frame and what stands before it; what fits behind the end of the ring begins anew. */
export const SLOT_BYTES = 66 * 1024;

/** Both only grow, modulo 2^32: how many bytes were put, how many were taken. */
const PUT = 0;
const TAKEN = 1;

export interface RingMemory {
  readonly counters: Int32Array;
  readonly bytes: Uint8Array;
}

export function createRingMemory(): RingMemory {
  const counters = new Int32Array(new SharedArrayBuffer(8));
  return { counters, bytes: new Uint8Array(new SharedArrayBuffer(BYTES + SLOT_BYTES)) };
}

/** For the thread that reads the cable, which may block. */
export class RingWriter {
  readonly #memory: RingMemory;
  #put = 0;

  constructor(memory: RingMemory) {
    this.#memory = memory;
  }

  /** Waits for room for any frame; gives where it may be read to. */
  reserve(): Uint8Array {
    const { counters, bytes } = this.#memory;
    for (;;) {
      const taken = Atomics.load(counters, TAKEN);
      if (((this.#put - taken) | 0) + SLOT_BYTES <= BYTES) break;
      Atomics.wait(counters, TAKEN, taken);
    }
    const at = (this.#put >>> 0) % BYTES;
    return bytes.subarray(at + PREFIX_BYTES, at + SLOT_BYTES);
  }

  /** The frame in what was reserved has this length. */
  commit(length: number): void {
    const { counters, bytes } = this.#memory;
    const at = (this.#put >>> 0) % BYTES;
    bytes[at] = 0;
    bytes[at + 1] = length >>> 16;
    bytes[at + 2] = length >>> 8;
    bytes[at + 3] = length;
    const end = at + PREFIX_BYTES + length;
    // What reaches over the end is repeated at the beginning, so that both sides see one run of bytes.
    if (end > BYTES) bytes.copyWithin(0, BYTES, end);
    this.#put = (this.#put + PREFIX_BYTES + length) | 0;
    Atomics.store(counters, PUT, this.#put);
    Atomics.notify(counters, PUT);
  }
}

/** For the thread with the event loop. */
export class RingReader {
  readonly #memory: RingMemory;
  #taken = 0;

  constructor(memory: RingMemory) {
    this.#memory = memory;
  }

  /** Copies of all that is there, with the lengths before the frames. */
  take(): Buffer | null {
    const { counters, bytes } = this.#memory;
    const length = (Atomics.load(counters, PUT) - this.#taken) | 0;
    if (length === 0) return null;
    const at = (this.#taken >>> 0) % BYTES;
    const first = Math.min(length, BYTES - at);
    const copy = Buffer.allocUnsafeSlow(length);
    copy.set(bytes.subarray(at, at + first), 0);
    if (first < length) copy.set(bytes.subarray(0, length - first), first);
    this.#taken = (this.#taken + length) | 0;
    Atomics.store(counters, TAKEN, this.#taken);
    Atomics.notify(counters, TAKEN);
    return copy;
  }

  /** Resolves once there is something. */
  async wait(): Promise<void> {
    const waited = Atomics.waitAsync(this.#memory.counters, PUT, this.#taken);
    if (waited.async) await waited.value;
  }
}
