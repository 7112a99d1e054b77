/**
 * Where a command's end is told on its standard error: takes it out of what the command itself said, however it was cut into
 * pieces. Pure; nothing that a guest writes there harms anybody else, since it can end as it likes anyway.
 */
import { END_MARK } from './guest-scripts.ts';

const MARK = END_MARK.charCodeAt(0);

export class EndReader {
  /** The status, once it was told. */
  status: number | null = null;
  readonly #head: Buffer;
  readonly #longest: number;
  #held: Buffer = Buffer.alloc(0);

  constructor(id: string) {
    this.#head = Buffer.from(`${END_MARK}sand ${id} `);
    // Three digits, and the mark.
    this.#longest = this.#head.length + 4;
  }

  /** What of it is the command's. */
  push(chunk: Buffer): Buffer {
    const all = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = Buffer.alloc(0);
    const kept: Buffer[] = [];
    let from = 0;
    for (let at = all.indexOf(MARK); at >= 0; at = all.indexOf(MARK, at + 1)) {
      const rest = all.subarray(at, at + this.#longest);
      const match = this.#match(rest);
      if (match === 'other') continue;
      kept.push(all.subarray(from, at));
      if (match === 'begun') {
        this.#held = Buffer.from(all.subarray(at));
        return Buffer.concat(kept);
      }
      this.status = match.status;
      from = at + match.length;
      at = from - 1;
    }
    kept.push(all.subarray(from));
    return Buffer.concat(kept);
  }

  /** What is left when nothing comes any more. */
  finish(): Buffer {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }

  #match(bytes: Buffer): 'other' | 'begun' | { readonly status: number; readonly length: number } {
    const head = bytes.subarray(0, this.#head.length);
    if (!this.#head.subarray(0, head.length).equals(head)) return 'other';
    const tail = bytes.subarray(this.#head.length).toString('latin1');
    const match = /^(\d{1,3})\u001e/.exec(tail);
    if (match !== null)
      return { status: Number(match[1]) & 0xff, length: this.#head.length + match[0].length };
    return /^\d{0,3}$/.test(tail) && bytes.length < this.#longest ? 'begun' : 'other';
  }
}
