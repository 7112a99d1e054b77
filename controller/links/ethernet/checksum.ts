/** The internet checksum (RFC 1071) over parts of a buffer: made for what is sent, verified for what comes. */

/** Adds 16-bit words to `sum`; a part of odd length must be the last one. */
export function addWords(view: DataView, start: number, end: number, sum = 0): number {
  let at = start;
  let total = sum;
  // Two words at a time, four reads a round: this loop is what a large transfer spends its time in.
  for (; at + 16 <= end; at += 16) {
    const a = view.getUint32(at);
    const b = view.getUint32(at + 4);
    const c = view.getUint32(at + 8);
    const d = view.getUint32(at + 12);
    total += (a >>> 16) + (a & 0xffff) + (b >>> 16) + (b & 0xffff);
    total += (c >>> 16) + (c & 0xffff) + (d >>> 16) + (d & 0xffff);
  }
  for (; at + 2 <= end; at += 2) total += view.getUint16(at);
  return at < end ? total + (view.getUint8(at) << 8) : total;
}

/** 0xffff over a part that holds its own right checksum. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return folded;
}

/** What goes into the checksum's field. */
export function checksum(view: DataView, start: number, end: number, sum = 0): number {
  return fold(addWords(view, start, end, sum)) ^ 0xffff;
}

/** What TCP and UDP sum besides their own bytes. */
export function pseudoHeader(source: number, destination: number, protocol: number, length: number): number {
  return (
    (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length
  );
}
