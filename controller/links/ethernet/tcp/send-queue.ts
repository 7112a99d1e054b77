/** Bytes that are to be sent or sent again: in the pieces that they were written in, until they are acknowledged. */

/** Pieces below this are put together: a buffer of its own for each byte would cost a hundred times that byte. */
const SMALL_BYTES = 1_024;
const JOINED_BYTES = 8 * 1_024;

export class SendQueue {
  readonly #pieces: Buffer[] = [];
  /** What the last piece is the beginning of, where small ones are put together in it. */
  #joined: Buffer | null = null;
  /** Bytes of the first piece that are acknowledged. */
  #skipped = 0;
  #length = 0;
  /** Where the last copy ended: the next one mostly goes on from there. */
  #piece = 0;
  /** The offset at which that piece begins. */
  #pieceStart = 0;

  get length(): number {
    return this.#length;
  }

  /** Keeps the buffer itself; whoever wrote it does not change it any more. */
  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#length += bytes.length;
    if (bytes.length >= SMALL_BYTES) {
      this.#joined = null;
      this.#pieces.push(bytes);
      return;
    }
    const last = this.#joined === null ? undefined : this.#pieces.at(-1);
    const used = last?.length ?? 0;
    if (last === undefined || this.#joined === null || used + bytes.length > JOINED_BYTES) {
      this.#joined = Buffer.allocUnsafeSlow(JOINED_BYTES);
      bytes.copy(this.#joined);
      this.#pieces.push(this.#joined.subarray(0, bytes.length));
    } else {
      bytes.copy(this.#joined, used);
      this.#pieces[this.#pieces.length - 1] = this.#joined.subarray(0, used + bytes.length);
    }
  }

  /** From `offset` behind the first unacknowledged byte; all of it must be there. */
  copy(offset: number, length: number, to: Buffer, at: number): void {
    if (offset < this.#pieceStart) this.#rewind();
    let done = 0;
    for (;;) {
      const piece = this.#pieces[this.#piece];
      if (done === length) return;
      // Else what lay there before would be sent.
      if (piece === undefined) throw new Error('bytes were to be sent that nobody has written');
      const skipped = this.#piece === 0 ? this.#skipped : 0;
      const within = offset + done - this.#pieceStart + skipped;
      if (within < piece.length) {
        const count = Math.min(length - done, piece.length - within);
        // `copy` of a few kilobytes costs less than a view and `set`.
        piece.copy(to, at + done, within, within + count);
        done += count;
        if (done === length) return;
      }
      this.#pieceStart += piece.length - skipped;
      this.#piece += 1;
    }
  }

  /** The first `count` bytes are acknowledged. */
  drop(count: number): void {
    let left = Math.min(count, this.#length);
    this.#length -= left;
    let gone = 0;
    for (;;) {
      const piece = this.#pieces[gone];
      if (piece === undefined || piece.length - this.#skipped > left) break;
      left -= piece.length - this.#skipped;
      this.#skipped = 0;
      gone += 1;
    }
    this.#skipped += left;
    if (gone > 0) this.#pieces.splice(0, gone);
    this.#piece -= gone;
    this.#pieceStart -= count;
    if (this.#piece <= 0) this.#rewind();
  }

  clear(): void {
    this.#pieces.length = 0;
    this.#skipped = 0;
    this.#length = 0;
    this.#joined = null;
    this.#rewind();
  }

  #rewind(): void {
    this.#piece = 0;
    this.#pieceStart = 0;
  }
}
