/**
 * Carries connections to a socket in the guest on to a socket of the host, as the tool does it over vsock: the host's is dialled
 * by its path anew for each connection, its mode bits are those that the guest sees, and the first dial that fails ends the
 * accepting for good. Which sockets there are is decided elsewhere.
 */
import { chmodSync, closeSync, openSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { basename, dirname } from 'node:path';
import type { Duplex } from 'node:stream';

export interface Relay {
  /** Of this process's working directory, which must be a short way to it: a socket's path has 107 bytes. */
  readonly listenName: string;
  readonly hostPath: string;
}

/** Resolves once it listens. Bytes and half-closes go both ways. */
export function startRelay({ listenName, hostPath }: Relay): Promise<void> {
  const mode = statSync(hostPath).mode & 0o777;
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, relayTo(hostPath));
    server.once('error', reject);
    server.listen(listenName, () => {
      chmodSync(listenName, mode);
      resolve();
    });
  });
}

/** What becomes of each connection of the guest. */
export function relayTo(hostPath: string): (guest: Duplex) => void {
  let isDead = false;
  const held: Duplex[] = [];
  return (guest) => {
    // As after the end of accepting: the kernel takes the connection, and nothing ever comes of it.
    if (isDead) held.push(guest);
    else relayOne(guest, hostPath, () => (isDead = true));
  };
}

function relayOne(guest: Duplex, hostPath: string, onRefused: () => void): void {
  // A path of any length is dialled through its folder.
  const folder = openFolder(hostPath);
  if (folder === null) {
    onRefused();
    guest.destroy();
    return;
  }
  let isConnected = false;
  const host = connect({ path: `/proc/self/fd/${folder}/${basename(hostPath)}`, allowHalfOpen: true });
  const forget = () => {
    guest.destroy();
    host.destroy();
  };
  host.once('connect', () => {
    isConnected = true;
    closeSync(folder);
    guest.pipe(host);
    host.pipe(guest);
    guest.resume();
  });
  host.on('error', () => {
    if (!isConnected) {
      closeSync(folder);
      onRefused();
    }
    forget();
  });
  guest.on('error', forget);
}

function openFolder(path: string): number | null {
  try {
    return openSync(dirname(path), 'r');
  } catch {
    return null;
  }
}
