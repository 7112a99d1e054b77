/**
 * The control socket of a run: takes requests of the run's own user, a line each, and answers them in turn.
 * What a request does is its handler's; nothing of the guest's ever gets here.
 */
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { SandError } from '../errors.ts';
import { controlFailed } from './failure.ts';
import { CONTROL_LIMITS, type ControlAnswer, type ControlRequest, parseControlRequest } from './protocol.ts';
import { socketPlace } from './socket-path.ts';

export interface ControlServer {
  /** Ends every connection and removes the socket. Idempotent. */
  close(): Promise<void>;
}

/** What it throws is told to who asked: the code and the sentence of a `SandError`, of others the message. */
export type ControlHandler = (request: ControlRequest) => Promise<unknown>;

/** `directory` is the run's own, mode 0700. Raises `control-failed`. */
export async function createControlServer(directory: string, handle: ControlHandler): Promise<ControlServer> {
  const clients = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (clients.size >= CONTROL_LIMITS.connections) {
      socket.destroy();
      return;
    }
    clients.add(socket);
    socket.on('close', () => clients.delete(socket));
    serve(socket, handle);
  });
  try {
    const place = socketPlace(directory);
    server.on('close', place.release);
    server.listen({ path: place.path });
    await once(server, 'listening');
    chmodSync(place.named, 0o600);
  } catch (error) {
    server.close();
    throw controlFailed(`the control socket cannot be made in ${directory}`, error);
  }
  return {
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}

function serve(socket: Socket, handle: ControlHandler): void {
  let held = '';
  let isBusy = false;
  let hasEnded = false;
  socket.setEncoding('utf8');
  socket.setTimeout(CONTROL_LIMITS.idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  const turn = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    for (let end = held.indexOf('\n'); end >= 0; end = held.indexOf('\n')) {
      const line = held.slice(0, end);
      held = held.slice(end + 1);
      const answer = await answerOf(line, handle);
      if (!socket.writable) return;
      socket.write(`${JSON.stringify(answer)}\n`);
    }
    isBusy = false;
    if (held.length > CONTROL_LIMITS.requestBytes) socket.destroy();
    else if (hasEnded) socket.end();
    else socket.resume();
  };
  socket.on('data', (text: string) => {
    held += text;
    // One chunk at a time, so that a client that never reads fills nothing here.
    socket.pause();
    void turn();
  });
  // Who has asked and says no more still gets the answer, however long it takes.
  socket.on('end', () => {
    hasEnded = true;
    if (!isBusy) socket.end();
  });
}

async function answerOf(line: string, handle: ControlHandler): Promise<ControlAnswer> {
  const request = line.length > CONTROL_LIMITS.requestBytes ? null : parseControlRequest(line);
  if (request === null) {
    const hint = 'use the `sand` that started the run';
    return { ok: false, code: 'control-failed', message: 'the run does not understand this', hint };
  }
  try {
    return { ok: true, value: await handle(request) };
  } catch (error) {
    const known = error instanceof SandError ? error : controlFailed('the run could not do it', error);
    return { ok: false, code: known.code, message: known.message, hint: known.hint };
  }
}
