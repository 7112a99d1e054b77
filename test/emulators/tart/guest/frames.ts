/** What `tart exec` and the agent of a guest say to each other over the control socket: a letter, a length, and that many bytes. */

/** Of the client: what to do, input, its end, the terminal's size. Of the agent: outputs, a status, an error, the end of the stream. */
export type FrameKind = 'B' | 'I' | 'E' | 'W' | 'O' | 'R' | 'X' | 'F' | 'Z';

export interface Frame {
  readonly kind: FrameKind;
  readonly payload: Buffer;
}

/** What a client asks first. */
export type AgentRequest =
  | { readonly kind: 'address' }
  | {
      readonly kind: 'exec';
      readonly command: readonly string[];
      readonly isInteractive: boolean;
      readonly isTerminal: boolean;
    };

const KINDS = 'BIEWORXFZ';
const HEAD = 5;
/** Larger than any chunk that either side reads at once. */
const LARGEST = 1 << 20;

export function encodeFrame(kind: FrameKind, payload: string | Buffer = ''): Buffer {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(HEAD);
  head.write(kind);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** Gives whole frames, however the bytes arrive; throws at what is none. */
export function createFrameReader(onFrame: (frame: Frame) => void): (chunk: Buffer) => void {
  let left: Buffer = Buffer.alloc(0);
  return (chunk) => {
    left = left.length === 0 ? chunk : Buffer.concat([left, chunk]);
    while (left.length >= HEAD) {
      const kind = left.toString('latin1', 0, 1);
      const size = left.readUInt32BE(1);
      if (!isKind(kind) || size > LARGEST) throw new Error('not a frame of the control socket');
      if (left.length < HEAD + size) return;
      const payload = left.subarray(HEAD, HEAD + size);
      left = left.subarray(HEAD + size);
      onFrame({ kind, payload });
    }
  };
}

function isKind(kind: string): kind is FrameKind {
  return KINDS.includes(kind);
}
