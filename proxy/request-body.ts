/** One request body as a stream: pulled from the guest as the upstream takes it, counted, and nothing past its end. */
import { Readable } from 'node:stream';
import { BodyDecoder } from './body.ts';
import type { GuestConnection } from './guest.ts';
import type { Field, HeadFault, RequestHead } from './head.ts';

const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');

/** Also for a body whose head already says that it is too large. */
export const BODY_TOO_LARGE: HeadFault = {
  status: 413,
  reason: 'limit-body',
  detail: 'the request body is larger than the policy admits',
};

export interface BodyOptions {
  /** Counts bytes before they are passed on; false ends the body. */
  readonly admit: (bytes: number) => boolean;
  /** Of the body itself, however it is framed; the byte after them ends it with a fault. */
  readonly mostBytes: number;
  readonly trailerBytes: number;
}

/** Fails when the body is malformed (`fault` says how) or the guest leaves in the middle of it. */
export class RequestBody extends Readable {
  readonly #guest: GuestConnection;
  readonly #decoder: BodyDecoder;
  readonly #admit: (bytes: number) => boolean;
  #left: number;
  #owesContinue: boolean;
  #isPulling = false;
  fault: HeadFault | null = null;

  constructor(guest: GuestConnection, head: RequestHead, options: BodyOptions) {
    super();
    this.#guest = guest;
    this.#decoder = new BodyDecoder(head.framing, options.trailerBytes);
    this.#admit = options.admit;
    this.#left = options.mostBytes;
    this.#owesContinue = head.expectsContinue;
  }

  /** Whether every byte of the body has been taken from the guest. */
  get isTaken(): boolean {
    return this.#decoder.isDone;
  }

  get trailers(): readonly Field[] {
    return this.#decoder.trailers;
  }

  override _read(): void {
    void this.#pull();
  }

  async #pull(): Promise<void> {
    if (this.#isPulling) return;
    this.#isPulling = true;
    try {
      while (!this.destroyed) {
        if (this.#decoder.isDone) {
          this.push(null);
          return;
        }
        const { reader } = this.#guest;
        const held = reader.bytes.length;
        const wantsMore = held > 0 ? this.#take(reader.bytes) : true;
        if (wantsMore === 'full') return;
        if (this.#decoder.isDone || this.destroyed) continue;
        this.#invite();
        // Unused bytes are half a line: only more of it helps.
        const wait = await reader.more(reader.bytes.length, null);
        if (wait !== 'bytes') this.destroy(new Error('the body is cut short'));
      }
    } finally {
      this.#isPulling = false;
    }
  }

  /** Passes on what stands in the buffer; `full` when the upstream takes no more for now. */
  #take(bytes: Buffer): true | 'full' {
    const step = this.#decoder.step(bytes);
    if (step.kind === 'fault') {
      this.fault = step.fault;
      this.destroy(new Error(step.fault.detail));
      return true;
    }
    let isFull = false;
    for (const part of step.data) {
      this.#left -= part.length;
      if (this.#left < 0) {
        this.fault = BODY_TOO_LARGE;
        this.destroy(new Error(BODY_TOO_LARGE.detail));
        return true;
      }
      if (!this.#admit(part.length)) {
        this.destroy(new Error('the bytes are used up'));
        return true;
      }
      if (!this.push(part)) isFull = true;
    }
    this.#guest.reader.consume(step.used);
    return isFull && !this.#decoder.isDone ? 'full' : true;
  }

  /** RFC 9110 section 10.1.1: only once the request is judged, and not to a guest that did not wait. */
  #invite(): void {
    if (!this.#owesContinue) return;
    this.#owesContinue = false;
    this.#guest.write(CONTINUE);
  }
}
