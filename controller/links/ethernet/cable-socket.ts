/** Where the supervisor waits for its guest's cable: a Unix socket in the guest's own folder, at which one connection counts. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { SOCKET_PATH_BYTES } from '../../control/protocol.ts';
import { SandError } from '../../errors.ts';
import { type Cable, createStreamCable } from './cable.ts';

export interface CableSocket {
  readonly path: string;
  /** The guest's cable, owned by whoever takes it. Never rejects. */
  readonly connected: Promise<Cable>;
  /** Idempotent. What has connected stays. */
  close(): void;
}

/** `folder` is the guest's own and open to nobody else. Raises `link-failed`. */
export async function listenForCable(folder: string): Promise<CableSocket> {
  const path = join(folder, 'cable.sock');
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES) throw cannotListen(path, 'the path is too long');
  const { promise: connected, resolve } = Promise.withResolvers<Cable>();
  let isTaken = false;
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    // Fail closed: a guest has one cable, and a second that says so is nobody's.
    if (isTaken) return void socket.destroy();
    isTaken = true;
    resolve(createStreamCable(socket));
  });
  await new Promise<void>((listening, reject) => {
    server.once('error', (error) => reject(cannotListen(path, error.message)));
    server.listen(path, () => {
      server.on('error', () => {});
      listening();
    });
  });
  return { path, connected, close: () => void server.close() };
}

function cannotListen(path: string, why: string): SandError {
  return new SandError(
    'link-failed',
    `the socket ${path} for the guest\u2019s cable cannot be made: ${why}`,
    'set XDG_STATE_HOME to a folder with a short path on a disk of this host',
  );
}
