/**
 * Frames on their way to the cable, each behind its length in four bytes, as a stream carries them. Whoever makes
 * a frame writes it where it will be sent from, so that none is copied or allocated by itself. Bounded.
 */

const PREFIX_BYTES = 4;
const SLAB_BYTES = 256 * 1024;
/** Slabs that are kept for the next frames. */
const SPARE_SLABS = 8;

export interface Slab {
  readonly bytes: Buffer;
  readonly view: DataView;
  used: number;
}

export class FrameBatch {
  readonly #limit: number;
  readonly #full: Slab[] = [];
  readonly #spare: Slab[] = [];
  #slab: Slab;
  #fullBytes = 0;
  #dropped = 0;

  /** Past `limit` bytes frames are refused. */
  constructor(limit: number) {
    this.#limit = limit;
    this.#slab = createSlab();
  }

  /** Where the frame of the last `reserve` belongs. */
  get bytes(): Buffer {
    return this.#slab.bytes;
  }

  get view(): DataView {
    return this.#slab.view;
  }

  get length(): number {
    return this.#fullBytes + this.#slab.used;
  }

  get hasRoom(): boolean {
    return this.length < this.#limit;
  }

  /** Frames that found no room. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Gives where a frame of this length begins in `bytes`; all of it is to be written. Negative: there is no room. */
  reserve(length: number): number {
    if (!this.hasRoom) {
      this.#dropped += 1;
      return -1;
    }
    if (this.#slab.used + PREFIX_BYTES + length > SLAB_BYTES) {
      this.#full.push(this.#slab);
      this.#fullBytes += this.#slab.used;
      this.#slab = this.#spare.pop() ?? createSlab();
    }
    const slab = this.#slab;
    slab.bytes.writeUInt32BE(length, slab.used);
    const at = slab.used + PREFIX_BYTES;
    slab.used = at + length;
    return at;
  }

  /** All frames so far, in order; each slab is to be given back. */
  take(): readonly Slab[] {
    if (this.length === 0) return [];
    const slabs = [...this.#full.splice(0), this.#slab].filter(({ used }) => used > 0);
    this.#fullBytes = 0;
    this.#slab = this.#spare.pop() ?? createSlab();
    return slabs;
  }

  giveBack(slab: Slab): void {
    slab.used = 0;
    if (this.#spare.length < SPARE_SLABS) this.#spare.push(slab);
  }
}

function createSlab(): Slab {
  const bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
  return { bytes, view: new DataView(bytes.buffer), used: 0 };
}
