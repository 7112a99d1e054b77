/**
 * The agent of a guest: listens on the control socket and runs commands inside, as the user that the real one runs as. It waits for the
 * outputs' end, and kills a command, not what that has started, when whoever asked for it is gone.
 */
import { existsSync, renameSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { failureOf, readReport } from '../../container/runtime/child.ts';
import type { Ends } from '../../container/runtime/ends.ts';
import { CUT } from './client.ts';
import { type AgentRequest, createFrameReader, encodeFrame } from './frames.ts';

export interface AgentGuest {
  /** Runs a command in the guest, which reports in the lines of entry.c. */
  run(request: AgentRequest & { kind: 'exec' }): Ends;
  /** Ends a process of the guest. */
  kill(pid: number): void;
  /** Its address on the cable; null while it has none. */
  address(): Promise<string | null>;
  /** Whether it answers by now. */
  isUp(): boolean;
  /** After so long the stream of a command ends, properly and without its status; null for never. */
  readonly cutAfterMs: number | null;
}

export interface Agent {
  /** What still runs hears that the transport became inactive. */
  close(): void;
}

/**
 * Rejects where the name is taken, as by the socket of an earlier run: none takes its own away, however it ends. `path` may be relative.
 */
export function startAgent(path: string, guest: AgentGuest): Promise<Agent> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    if (!guest.isUp()) return socket.destroy();
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.write(encodeFrame('W'));
    serve(socket, guest);
    return undefined;
  });
  const close = () => {
    server.close();
    for (const socket of sockets) socket.end(encodeFrame('F', CUT));
  };
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    if (existsSync(path))
      return reject(new Error(`bind(descriptor:ptr:bytes:): Address already in use (${path})`));
    // Node takes away the name that it has bound.
    server.listen(`${path}.new`, () => {
      renameSync(`${path}.new`, path);
      resolve({ close });
    });
  });
}

function serve(socket: Socket, guest: AgentGuest): void {
  let child: Ends | null = null;
  const read = createFrameReader(({ kind, payload }) => {
    if (kind === 'B' && child === null) {
      const request: AgentRequest = JSON.parse(payload.toString());
      if (request.kind === 'address')
        guest.address().then((address) => socket.end(encodeFrame('O', address ?? '')));
      else child = begin(socket, guest, request);
    }
    if (kind === 'I' && child?.stdin?.write(payload) === false) socket.pause();
    if (kind === 'E') child?.stdin?.end();
    if (kind === 'W') child?.resize?.write(`${payload.toString()}\n`);
  });
  socket.on('data', (chunk) => {
    try {
      read(chunk);
    } catch {
      socket.destroy();
    }
  });
}

function begin(socket: Socket, guest: AgentGuest, request: AgentRequest & { kind: 'exec' }): Ends {
  const child = guest.run(request);
  const outputs = Promise.all([
    passOn(child.stdout, socket, (chunk) => encodeFrame('O', chunk)),
    passOn(child.stderr, socket, (chunk) => encodeFrame('R', chunk)),
  ]);
  child.stdin?.on('error', () => {});
  child.stdin?.on('drain', () => socket.resume());
  let pid = 0;
  let status: string | null = null;
  let failure: string | null = null;
  const reported = readReport(child, (word, rest) => {
    if (word === 'started') pid = Number(rest);
    // The agent knows no number for an end by a signal.
    if (word === 'signalled') status = '255';
    if (word === 'exited') {
      status ??= rest;
      pid = 0;
    }
    if (word === 'missing')
      failure = `GRPC.GRPCStatus: unknown (2): exec: "${rest}": executable file not found in $PATH`;
    else failure ??= failureOf(word, rest)?.message ?? null;
  });
  const kill = () => {
    if (pid > 0) guest.kill(pid);
  };
  socket.on('close', kill);
  if (guest.cutAfterMs !== null) setTimeout(() => socket.end(encodeFrame('Z')), guest.cutAfterMs).unref();
  Promise.all([outputs, reported]).then(() => {
    if (failure !== null) socket.end(encodeFrame('F', failure));
    else if (status === null) socket.end(encodeFrame('F', CUT));
    else socket.end(encodeFrame('X', status));
  });
  return child;
}

function passOn(from: Readable | null, socket: Socket, frame: (chunk: Buffer) => Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (from === null) return resolve();
    from.on('data', (chunk: Buffer) => {
      if (!socket.destroyed && !socket.write(frame(chunk))) from.pause();
    });
    socket.on('drain', () => from.resume());
    socket.on('close', () => from.resume());
    from.on('close', () => resolve());
  });
}
