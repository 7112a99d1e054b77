/** Sequence numbers of TCP: 32 bits that wrap around (RFC 9293 section 3.4). */

export type Sequence = number;

export function add(sequence: Sequence, count: number): Sequence {
  return (sequence + count) >>> 0;
}

/** How far `to` is ahead of `from`; negative where it is behind. Right for less than 2^31 apart. */
export function distance(from: Sequence, to: Sequence): number {
  return (to - from) | 0;
}
