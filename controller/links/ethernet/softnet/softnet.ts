/**
 * The program that stands in the place of softnet: passes the frames of the guest's cable between its standard input, a
 * datagram a frame, and the supervisor's socket. Decides nothing: without the supervisor it ends, and the guest with it.
 * Uses only Node's own modules.
 */
import { readSync, writeSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { FrameReader } from '../cable.ts';
import { answerControl, CONTROL_LINE_BYTES, FIRST_POLICY } from './control.ts';
import { createRingMemory, type RingMemory, RingReader, RingWriter } from './ring.ts';

const CABLE = 0;
const CONTROL = 1;
/** A parent that is gone is noticed by this: its end of the cable says nothing when it closes. */
const PARENT_POLL_MS = 500;
/** A queue that is full for longer belongs to a guest that does not run. */
const WRITE_ATTEMPTS = 200;
const WRITE_PAUSE_MS = 1;
/** Frames that could not be given to the guest's card, one after the other, before the cable counts as gone; being full is no failure. */
const MAX_FAILURES = 64;

type Part =
  | { readonly kind: 'reader'; readonly memory: RingMemory }
  | {
      readonly kind: 'carrier';
      readonly memory: RingMemory;
      readonly path: string;
      readonly isControlled: boolean;
    };

if (isMainThread) main(process.argv.slice(2));
else work(workerData as Part);

/**
 * Signals and the parent. The cable is read in a thread that blocks: Node has no events for such a
 * socket.
 */
function main(argv: readonly string[]): void {
  const path = argv[argv.indexOf('--cable') + 1];
  if (!argv.includes('--cable') || path === undefined) {
    process.stderr.write('softnet: no --cable SOCKET was given; this program is for sand alone\n');
    leave(2);
    return;
  }
  // Tart ends it so, and expects 0.
  process.on('SIGINT', () => leave(0));
  process.on('SIGTERM', () => leave(0));
  process.on('uncaughtException', (error) => {
    process.stderr.write(`softnet: ${error.message}\n`);
    leave(1);
  });
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) leave(0);
  }, PARENT_POLL_MS);
  const memory = createRingMemory();
  // By default its standard output is tart's own, which is nobody's control socket.
  const isControlled = argv[argv.indexOf('--control-fd') + 1] === String(CONTROL);
  for (const part of [
    { kind: 'reader', memory } as const,
    { kind: 'carrier', memory, path, isControlled } as const,
  ]) {
    const worker = new Worker(new URL(import.meta.url), { workerData: part });
    worker.on('message', (reason: string) => {
      process.stderr.write(`softnet: ${reason}\n`);
      leave(1);
    });
    worker.on('error', (error: Error) => {
      process.stderr.write(`softnet: ${error.message}\n`);
      leave(1);
    });
  }
}

/** Beside the frames: in the first thread Node itself has the descriptor open, as standard output. */
function serveControl(): void {
  let policy = FIRST_POLICY;
  let begun = '';
  const socket = new Socket({ fd: CONTROL, readable: true, writable: true });
  // Its end takes nothing away: the cable stays as it is.
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    begun += chunk.toString();
    if (begun.length > CONTROL_LINE_BYTES) return void socket.destroy();
    const lines = begun.split('\n');
    begun = lines.pop() ?? '';
    for (const line of lines.filter((one) => one.trim() !== '')) {
      const said = answerControl(line, policy);
      policy = said.policy;
      if (said.answer !== null) socket.write(said.answer);
    }
  });
}

/**
 * Node waits for its threads when it exits, and one of them waits for a frame that may never come. Becoming another
 * program waits for nobody.
 */
function leave(code: number): void {
  if (process.execve === undefined) process.kill(process.pid, 'SIGKILL');
  else process.execve('/bin/sh', ['sh', '-c', `exit ${code}`], {});
}

function work(part: Part): void {
  if (part.kind === 'reader') {
    readCable(part.memory);
    return;
  }
  if (part.isControlled) serveControl();
  carry(part.path, part.memory);
}

/** Never returns while the cable is there. */
function readCable(memory: RingMemory): void {
  const ring = new RingWriter(memory);
  for (;;) {
    const room = ring.reserve();
    const length = retrying(() => readSync(CABLE, room, 0, room.length, null));
    if (length > 0) ring.commit(length);
  }
}

function carry(path: string, memory: RingMemory): void {
  const socket = connect(path);
  const ring = new RingReader(memory);
  const reader = new FrameReader();
  let failures = 0;
  const frame = (bytes: Buffer, _view: DataView, start: number, end: number): void => {
    const isGone = giveFrame(bytes, start, end) === 'failed';
    failures = isGone ? failures + 1 : 0;
    if (failures > MAX_FAILURES) lose('the guest takes no frames any more');
  };
  socket.on('data', (chunk: Buffer) => {
    if (!reader.push(chunk, { frame })) lose('something that is no frame came from the supervisor');
  });
  socket.on('error', (error: Error) => lose(`no supervisor: ${error.message}`));
  socket.on('close', () => lose('the supervisor is gone'));
  socket.on('connect', () => void forward(socket, ring));
}

async function forward(socket: Socket, ring: RingReader): Promise<void> {
  for (;;) {
    const frames = ring.take();
    if (frames === null) await ring.wait();
    else if (!socket.write(frames)) await new Promise((resolve) => socket.once('drain', resolve));
  }
}

/** `full`: it was dropped, as a full cable drops. */
function giveFrame(bytes: Buffer, start: number, end: number): 'given' | 'full' | 'failed' {
  for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt += 1) {
    try {
      writeSync(CABLE, bytes, start, end - start);
      return 'given';
    } catch (error) {
      if (!isFull(error)) return 'failed';
      pause();
    }
  }
  return 'full';
}

/** A descriptor that somebody made non-blocking is waited for. */
function retrying(read: () => number): number {
  for (;;) {
    try {
      return read();
    } catch (error) {
      if (!isFull(error)) throw error;
      pause();
    }
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WRITE_PAUSE_MS);
}

function isFull(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return code === 'EAGAIN' || code === 'ENOBUFS' || code === 'EINTR';
}

/** To the main thread, which ends the program. */
function lose(reason: string): void {
  parentPort?.postMessage(reason);
}
