/**
 * Passes bytes between a guest and an upstream, both ways, until both have ended: with back-pressure, a budget
 * for each turn of the event loop, half-close and counting. Looks into no byte.
 */
import type { Socket } from 'node:net';
import type { Reason } from '../policies/reasons.ts';
import type { Flight } from './flight.ts';
import { resetSocket } from './guest.ts';
import type { GuestSocket } from './reader.ts';

export interface SpliceOptions {
  /** Bytes of the guest that were read before: they go first. */
  readonly leftover: Buffer;
  readonly hasGuestEnded: boolean;
  /** Bytes of the upstream that were read before. */
  readonly greeting: Buffer;
  readonly turnBytes: number;
  /** Without a byte, once one side has ended: the other may be gone, and a silent one would hold the place. */
  readonly halfOpenTimeoutMs: number;
}

/**
 * Owns both sockets from here on; resolves once both are closed, and closes the flight's books. Ended by
 * `flight.cut` too.
 */
export async function splice(
  guest: GuestSocket,
  upstream: Socket,
  flight: Flight,
  options: SpliceOptions,
): Promise<void> {
  let ending: Reason | null = null;
  const abort = (reason: Reason | null): void => {
    ending ??= reason;
    // A peer that is cut off must see a failure, never the regular end of its data.
    resetSocket(guest);
    resetSocket(upstream);
  };
  let halfOpen: NodeJS.Timeout | null = null;
  const onSideEnded = (): void => {
    if (guest.destroyed && upstream.destroyed) return;
    halfOpen ??= setTimeout(() => abort('limit-time'), options.halfOpenTimeoutMs);
  };
  guest.on('end', onSideEnded);
  upstream.on('end', onSideEnded);
  guest.on('error', () => {});
  upstream.on('error', (error: NodeJS.ErrnoException) => {
    ending ??= error.code === 'ECONNRESET' ? 'upstream-refused' : 'upstream-failed';
  });
  const closed = Promise.all([closeOf(guest, upstream), closeOf(upstream, guest)]);
  flight.onCut(() => abort(null));
  flight.watch();

  const onActivity = () => void halfOpen?.refresh();
  if (sendFirst(options.leftover, upstream, (bytes) => flight.count(bytes, 0))) {
    if (sendFirst(options.greeting, guest, (bytes) => flight.count(0, bytes))) {
      pump(guest, upstream, options.turnBytes, onActivity, (bytes) => flight.count(bytes, 0));
      pump(upstream, guest, options.turnBytes, onActivity, (bytes) => flight.count(0, bytes));
      if (options.hasGuestEnded) {
        onSideEnded();
        upstream.end();
      }
    }
  }
  await closed;
  if (halfOpen !== null) clearTimeout(halfOpen);
  flight.close(ending);
}

/** Resolves once `socket` is closed; when it broke off before both its ends, the other side learns it by a reset. */
function closeOf(socket: GuestSocket, other: GuestSocket): Promise<void> {
  return new Promise((resolve) => {
    const onClose = (): void => {
      if (!socket.readableEnded || !socket.writableFinished) resetSocket(other);
      resolve();
    };
    if (socket.closed) onClose();
    else socket.on('close', onClose);
  });
}

function sendFirst(bytes: Buffer, to: GuestSocket, admit: (bytes: number) => boolean): boolean {
  if (bytes.length === 0) return true;
  if (!admit(bytes.length)) return false;
  to.write(bytes);
  return true;
}

/** One direction. What was read is always written; reading stops at a full pipe and at the end of a turn's budget. */
function pump(
  from: GuestSocket,
  to: GuestSocket,
  turnBytes: number,
  onActivity: () => void,
  admit: (bytes: number) => boolean,
): void {
  let turn = 0;
  let isBlocked = to.writableNeedDrain;
  let isResting = false;
  const flow = (): void => {
    if (!isBlocked && !isResting) from.resume();
    else from.pause();
  };
  from.on('data', (chunk: Buffer) => {
    if (!to.writable || !admit(chunk.length)) return;
    onActivity();
    if (!to.write(chunk)) isBlocked = true;
    turn += chunk.length;
    if (turn >= turnBytes) {
      turn = 0;
      isResting = true;
      setImmediate(() => {
        isResting = false;
        flow();
      });
    }
    if (isBlocked || isResting) from.pause();
  });
  from.on('end', () => to.end());
  to.on('drain', () => {
    isBlocked = false;
    flow();
  });
  flow();
}
