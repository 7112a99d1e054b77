/** The host's side of a guest's relay: servers on the two Unix sockets that read the PROXY header of each connection. */
import { createServer, type Server, type Socket } from 'node:net';

export interface RelayHeader {
  readonly transport: 'stream' | 'datagram';
  readonly from: string;
  readonly to: string;
}

export type RelayHandler = (socket: Socket, header: RelayHeader, first: Buffer) => void;

const FIXED_BYTES = 16;
/** Version 2, command LOCAL. */
const LOCAL = 0x20;
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

function address(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16));
  return groups.join(':');
}

/** Null while the header is not complete; throws where it is none. */
export function readHeader(bytes: Buffer): { readonly header: RelayHeader; readonly rest: Buffer } | null {
  if (bytes.length < FIXED_BYTES) return null;
  if (!bytes.subarray(0, 12).equals(SIGNATURE) || bytes[12] !== 0x21) throw new Error('no PROXY header');
  const length = bytes.readUInt16BE(14);
  if (bytes.length < FIXED_BYTES + length) return null;
  const six = (bytes[13] ?? 0) >> 4 === 2;
  const width = six ? 16 : 4;
  if (length !== 2 * width + 4) throw new Error('a PROXY header of another length');
  const body = bytes.subarray(FIXED_BYTES, FIXED_BYTES + length);
  const place = (at: number, port: number) => {
    const text = address(body.subarray(at, at + width));
    return `${six ? `[${text}]` : text}:${body.readUInt16BE(port)}`;
  };
  return {
    header: {
      transport: ((bytes[13] ?? 0) & 15) === 1 ? 'stream' : 'datagram',
      from: place(0, 2 * width),
      to: place(width, 2 * width + 2),
    },
    rest: bytes.subarray(FIXED_BYTES + length),
  };
}

/** Listens at `path`; the handler gets what came with the header, and the socket paused at what comes after it. */
export async function listenAt(path: string, handler: RelayHandler): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let bytes = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    const take = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      // The relay's own, which it holds for as long as it lives.
      if (bytes.length >= FIXED_BYTES && bytes[12] === LOCAL) return void socket.off('data', take).resume();
      const read = readHeader(bytes);
      if (read === null) return;
      socket.off('data', take);
      handler(socket, read.header, read.rest);
    };
    socket.on('data', take);
  });
  await new Promise<void>((resolve) => server.listen({ path, backlog: 2_048 }, resolve));
  return server;
}

/** Answers each line of a connection with the destination and the line, and its end with an end. */
export function echoLines(socket: Socket, header: RelayHeader, first: Buffer): void {
  const say = (chunk: Buffer) => socket.write(`${header.to} ${chunk.toString('latin1')}`);
  if (first.length > 0) say(first);
  socket.on('data', say).on('end', () => socket.end('end\n'));
}
