/**
 * The way of other calls of the tool to a guest's machine: the keeper listens beside the sockets that it relays, and each connection
 * begins with what its stream is to be opened with.
 */
import { closeSync, openSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Open } from '../../../machine/calls.ts';

/** In the folder of the keeper's sockets. */
const NAME = 'control.sock';
const SIZE_BYTES = 4;

/** Listens in this process's working directory. */
export function listenForCalls(open: Open): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => takeCall(socket, open));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(NAME, resolve);
  });
}

function takeCall(socket: Socket, open: Open): void {
  let read: Buffer = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  const onData = (chunk: Buffer) => {
    read = Buffer.concat([read, chunk]);
    if (read.length < SIZE_BYTES) return;
    const end = SIZE_BYTES + read.readUInt32LE(0);
    if (read.length < end) return;
    socket.pause();
    socket.off('data', onData);
    const stream = open(read.subarray(SIZE_BYTES, end));
    if (read.length > end) stream.write(read.subarray(end));
    join(socket, stream);
  };
  socket.on('data', onData);
}

/** Bytes and half-closes both ways; when one is gone, so is the other. */
function join(one: Duplex, other: Duplex): void {
  one.pipe(other);
  other.pipe(one);
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => from.destroy());
    from.once('close', () => to.destroy());
  }
}

/** `folder` is that of the keeper's sockets, by whose descriptor a path of any length can be dialled. */
export function callsThrough(folder: string): Open {
  return (payload) => {
    const fd = openSync(folder, 'r');
    const socket = connect({ path: `/proc/self/fd/${fd}/${NAME}`, allowHalfOpen: true });
    for (const event of ['connect', 'error'] as const) socket.once(event, () => closeOnce());
    let isClosed = false;
    const closeOnce = () => {
      if (!isClosed) closeSync(fd);
      isClosed = true;
    };
    const size = Buffer.alloc(SIZE_BYTES);
    size.writeUInt32LE(payload.length, 0);
    socket.write(Buffer.concat([size, payload]));
    return socket;
  };
}
