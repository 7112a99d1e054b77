/**
 * Streams over one connection, in the frames of agent.c. Each may have a window of bytes on its way that the other side has
 * not taken, so that one that is slow holds up no other. What the streams are for is decided by whoever opens or takes them.
 */
import { Duplex } from 'node:stream';

const OPEN = 1;
const DATA = 2;
const END = 3;
const RESET = 4;
const CREDIT = 5;
const HEADER = 8;
export const WINDOW = 65_536;
const CHUNK = 16_384;
/** What a stream may be opened with. */
export const MOST_PAYLOAD = 262_143;

export interface Port {
  open(payload: Buffer): Duplex;
}

type Send = (kind: number, payload?: Buffer) => void;

/** Calls back for each stream that the other side opens. When the connection ends, so do all streams, with an error. */
export function carry(connection: Duplex, onOpen: (stream: Duplex) => void): Port {
  const streams = new Map<number, PortStream>();
  let last = 0;
  const add = (id: number): PortStream => {
    const send: Send = (kind, payload) => {
      if (!connection.destroyed) connection.write(encodeFrame(id, kind, payload));
    };
    const stream = new PortStream(send, () => streams.delete(id));
    streams.set(id, stream);
    return stream;
  };
  readFrames(connection, (id, kind, payload) => {
    if (kind === OPEN) onOpen(add(id));
    else streams.get(id)?.takeFrame(kind, payload);
  });
  connection.on('error', () => connection.destroy());
  connection.once('close', () => {
    for (const stream of [...streams.values()]) stream.destroy(new Error('the machine has ended'));
  });
  return {
    open(payload) {
      last += 1;
      const stream = add(last);
      if (connection.destroyed) process.nextTick(() => stream.destroy(new Error('the machine has ended')));
      else connection.write(encodeFrame(last, OPEN, payload));
      return stream;
    },
  };
}

function encodeFrame(id: number, kind: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEADER);
  head.writeUInt32LE(id, 0);
  head.writeUInt32LE((kind | (payload.length << 8)) >>> 0, 4);
  return Buffer.concat([head, payload]);
}

function readFrames(connection: Duplex, onFrame: (id: number, kind: number, payload: Buffer) => void): void {
  let left: Buffer = Buffer.alloc(0);
  connection.on('data', (chunk: Buffer) => {
    left = left.length === 0 ? chunk : Buffer.concat([left, chunk]);
    let at = 0;
    while (left.length - at >= HEADER) {
      const head = left.readUInt32LE(at + 4);
      const end = at + HEADER + (head >>> 8);
      if (end > left.length) break;
      onFrame(left.readUInt32LE(at), head & 0xff, left.subarray(at + HEADER, end));
      at = end;
    }
    left = left.subarray(at);
  });
}

class PortStream extends Duplex {
  readonly #send: Send;
  readonly #forget: () => void;
  #credit = WINDOW;
  #owed = 0;
  #waiting: (() => void) | null = null;
  #isReset = false;

  constructor(send: Send, forget: () => void) {
    super({ allowHalfOpen: true, readableHighWaterMark: CHUNK, writableHighWaterMark: CHUNK });
    this.#send = send;
    this.#forget = forget;
  }

  takeFrame(kind: number, payload: Buffer): void {
    if (kind === CREDIT) {
      this.#credit += payload.readUInt32LE(0);
      const go = this.#waiting;
      this.#waiting = null;
      go?.();
    } else if (kind === DATA) {
      this.#owed += payload.length;
      // Copied: what it is a part of is a larger piece.
      if (this.push(Buffer.from(payload))) this.#pay();
    } else if (kind === END) this.push(null);
    else if (kind === RESET) {
      this.#isReset = true;
      this.destroy(Object.assign(new Error('reset by the other side'), { code: 'ECONNRESET' }));
    }
  }

  #pay(): void {
    if (this.#owed === 0) return;
    const taken = Buffer.alloc(4);
    taken.writeUInt32LE(this.#owed, 0);
    this.#owed = 0;
    this.#send(CREDIT, taken);
  }

  override _read(): void {
    this.#pay();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error) => void): void {
    if (chunk.length === 0) {
      done();
      return;
    }
    if (this.#credit === 0) {
      this.#waiting = () => this._write(chunk, encoding, done);
      return;
    }
    const size = Math.min(chunk.length, this.#credit, CHUNK);
    this.#credit -= size;
    this.#send(DATA, chunk.subarray(0, size));
    this._write(chunk.subarray(size), encoding, done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#send(END);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#forget();
    const isOver = this.readableEnded && this.writableFinished;
    if (!this.#isReset && !isOver) this.#send(RESET);
    done(error);
  }
}
