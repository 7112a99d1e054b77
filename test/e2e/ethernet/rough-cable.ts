/**
 * A cable that loses, doubles, delays and reorders frames, both ways, by a seed: what netem does to one way of a kernel
 * that has it. Bounded by what its ends keep on their way.
 */
import type { Cable, CableEnd } from '../../../controller/links/ethernet/cable.ts';
import { FrameBatch } from '../../../controller/links/ethernet/frame-batch.ts';

export interface Roughness {
  readonly seed: number;
  /** Shares of all frames, 0 to 1. */
  readonly loss?: number;
  readonly duplicate?: number;
  /** Held back for `reorderMs` while others overtake them. */
  readonly reorder?: number;
  readonly reorderMs?: number;
  /** Of every frame, one way. */
  readonly delayMs?: number;
}

const BATCH_BYTES = 64 * 1024 * 1024;

export function roughen(cable: Cable, { seed, ...rough }: Roughness): Cable {
  const random = createRandom(seed);
  const copies = (): number => {
    if (random() < (rough.loss ?? 0)) return 0;
    return random() < (rough.duplicate ?? 0) ? 2 : 1;
  };
  const pass = (frame: Buffer, give: (frame: Buffer) => void): void => {
    for (let left = copies(); left > 0; left -= 1) {
      const isLate = random() < (rough.reorder ?? 0);
      const ms = (rough.delayMs ?? 0) + (isLate ? (rough.reorderMs ?? 5) : 0);
      if (ms === 0) give(frame);
      else setTimeout(give, ms, frame);
    }
  };
  const batch = new FrameBatch(BATCH_BYTES);
  const send = (frame: Buffer): void => {
    const at = batch.reserve(frame.length);
    if (at < 0) return;
    frame.copy(batch.bytes, at);
    setImmediate(() => cable.write(batch.take(), () => {}));
  };
  return {
    connect(end: CableEnd) {
      const give = (frame: Buffer): void => {
        end.frame(frame, new DataView(frame.buffer, frame.byteOffset, frame.length), 0, frame.length);
        end.settled();
      };
      cable.connect({
        frame: (bytes, _view, start, stop) => pass(Buffer.from(bytes.subarray(start, stop)), give),
        settled: () => {},
        drained: () => end.drained(),
        lost: (detail) => end.lost(detail),
      });
    },
    write(slabs, sent) {
      for (const slab of slabs) {
        for (let at = 0; at < slab.used; ) {
          const length = slab.bytes.readUInt32BE(at);
          pass(Buffer.from(slab.bytes.subarray(at + 4, at + 4 + length)), send);
          at += 4 + length;
        }
        sent(slab);
      }
      return true;
    },
    close: () => cable.close(),
  };
}

/** mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
