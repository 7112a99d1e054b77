/**
 * DNS over TCP for one origin: framing, pipelining and every bound on what a client may hold. What a message
 * says is for the responder it is given; dns2's own TCP server is not used.
 */
import type { Duplex } from 'node:stream';
import { type DnsLimits, MAX_QUERY_BYTES } from './limits.ts';
import { frameMessage } from './wire.ts';

/** A connection, of the kernel's or of a link's own. */
export interface StreamSocket extends Duplex {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** Answers one message; null ends the connection without an answer. Never rejects. */
export type StreamResponder = (message: Buffer) => Promise<Buffer | null>;

/** The connections of one listener, or of one handed-over place. */
export interface StreamClients {
  /** Serves the connection; past the connection limit it is destroyed at once. */
  accept(socket: Duplex): void;
  /** Destroys every connection. */
  close(): void;
}

export function createStreamClients(respond: StreamResponder, limits: DnsLimits): StreamClients {
  const open = new Set<Duplex>();
  return {
    accept(socket) {
      socket.on('error', () => socket.destroy());
      if (open.size >= limits.streamConnections) {
        socket.destroy();
        return;
      }
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      serveStream(socket, respond, limits);
    },
    close() {
      for (const socket of open) socket.destroy();
    },
  };
}

/** RFC 7766: several queries on one connection, answers in any order, a client may half-close and still be answered. */
function serveStream(socket: Duplex, respond: StreamResponder, limits: DnsLimits): void {
  let received: Buffer = Buffer.alloc(0);
  let inFlight = 0;
  let ended = false;
  socket.allowHalfOpen = true;
  // The clock runs from whole message to whole message: bytes that trickle in do not keep a connection.
  const idle = setTimeout(() => {
    // An answer on its way settles within the resolver's own limits.
    if (inFlight > 0) idle.refresh();
    else socket.destroy();
  }, limits.streamIdleMs);
  socket.on('close', () => clearTimeout(idle));

  const reply = async (message: Buffer): Promise<void> => {
    inFlight += 1;
    const answer = await respond(message);
    inFlight -= 1;
    if (socket.destroyed) return;
    if (answer === null || socket.writableLength > limits.streamBacklogBytes) {
      socket.destroy();
      return;
    }
    socket.write(frameMessage(answer));
    idle.refresh();
    read();
  };

  // Answers that need no waiting settle without giving way to other sockets: reading on has to.
  let budget = limits.streamTurn;
  let resting = false;
  const rest = (): void => {
    if (resting) return;
    resting = true;
    socket.pause();
    setImmediate(() => {
      resting = false;
      budget = limits.streamTurn;
      if (!socket.destroyed) read();
    });
  };

  const read = (): void => {
    while (inFlight < limits.streamPipelined && received.length >= 2) {
      const length = received.readUInt16BE(0);
      if (length > MAX_QUERY_BYTES) {
        socket.destroy();
        return;
      }
      if (received.length < 2 + length) break;
      if (budget === 0) {
        rest();
        return;
      }
      budget -= 1;
      const message = Buffer.from(received.subarray(2, 2 + length));
      received = received.subarray(2 + length);
      idle.refresh();
      void reply(message);
      if (socket.destroyed) return;
    }
    if (inFlight >= limits.streamPipelined) socket.pause();
    else socket.resume();
    if (ended && inFlight === 0) socket.end();
  };

  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    read();
  });
  socket.on('end', () => {
    ended = true;
    read();
  });
}
