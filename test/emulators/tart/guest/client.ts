/** Reaches the agent of a guest through `control.sock` in the VM's folder, and passes bytes between it and this process. */
import { createConnection, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type AgentRequest, createFrameReader, encodeFrame, type Frame } from './frames.ts';

const RETRY_MS = 50;

export const UNREACHED =
  'GRPC.GRPCConnectionPoolError(base: GRPC.GRPCConnectionPoolError.BaseError(code: deadlineExceeded))';
export const CUT = 'GRPC.GRPCStatus: unavailable (14): Transport became inactive';

/** Null where no agent answers within the time. The name is relative: a long path of the folder does no harm. */
async function connectAgent(
  folder: string,
  patienceMs: number,
): Promise<{ socket: Socket; frames: Frame[] } | null> {
  process.chdir(folder);
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const connected = await tryOnce();
    if (connected !== null) return connected;
    if (Date.now() >= deadline) return null;
    await delay(RETRY_MS);
  }
}

/** An agent that answers says hello with an empty frame; one that is not up yet drops the connection. */
function tryOnce(): Promise<{ socket: Socket; frames: Frame[] } | null> {
  return new Promise((resolve) => {
    const socket = createConnection('control.sock');
    socket.once('error', () => resolve(null));
    socket.once('close', () => resolve(null));
    socket.once('data', (hello) => {
      socket.removeAllListeners();
      socket.pause();
      const frames: Frame[] = [];
      createFrameReader((frame) => frames.push(frame))(hello);
      resolve({ socket, frames });
    });
  });
}

/** One question and its answer; an address of null also where nobody answers. */
export async function callAgent(
  folder: string,
  request: AgentRequest & { kind: 'address' },
  patienceMs: number,
): Promise<{ readonly address: string | null }> {
  const connected = await connectAgent(folder, patienceMs);
  if (connected === null) return { address: null };
  const { socket } = connected;
  return new Promise((resolve) => {
    const read = createFrameReader(({ kind, payload }) => {
      if (kind === 'O') resolve({ address: payload.toString() || null });
    });
    socket.on('data', read);
    socket.on('error', () => {});
    socket.on('close', () => resolve({ address: null }));
    socket.write(encodeFrame('B', JSON.stringify(request)));
    socket.resume();
  });
}

/** How a command ended: by its status, by words of the agent's or the connection's, or by the end of the stream alone. */
export type Outcome =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'cut' };

export async function execInGuest(
  folder: string,
  request: AgentRequest & { kind: 'exec' },
  patienceMs: number,
): Promise<Outcome> {
  const connected = await connectAgent(folder, patienceMs);
  if (connected === null) return { kind: 'failed', message: UNREACHED };
  const { socket } = connected;
  socket.write(encodeFrame('B', JSON.stringify(request)));
  if (request.isTerminal) followWindow(socket);
  if (request.isInteractive) passInput(socket);
  const outcome = await receive(socket);
  await flush();
  return outcome;
}

function receive(socket: Socket): Promise<Outcome> {
  return new Promise((resolve) => {
    const read = createFrameReader(({ kind, payload }) => {
      if (kind === 'O') passOutput(socket, process.stdout, payload);
      if (kind === 'R') passOutput(socket, process.stderr, payload);
      if (kind === 'X') resolve({ kind: 'status', status: Number(payload.toString()) });
      if (kind === 'F') resolve({ kind: 'failed', message: payload.toString() });
      if (kind === 'Z') resolve({ kind: 'cut' });
    });
    socket.on('data', read);
    socket.on('error', () => {});
    socket.on('close', () => resolve({ kind: 'failed', message: CUT }));
    for (const output of [process.stdout, process.stderr]) {
      output.on('error', () => resolve({ kind: 'failed', message: 'Broken pipe' }));
      output.on('drain', () => socket.resume());
    }
    socket.resume();
  });
}

function passOutput(socket: Socket, output: NodeJS.WriteStream, payload: Buffer): void {
  if (!output.write(payload)) socket.pause();
}

function passInput(socket: Socket): void {
  const { stdin } = process;
  stdin.on('data', (chunk: Buffer) => {
    if (!socket.write(encodeFrame('I', chunk))) stdin.pause();
  });
  stdin.on('end', () => socket.write(encodeFrame('E')));
  stdin.on('error', () => socket.write(encodeFrame('E')));
  socket.on('drain', () => stdin.resume());
}

function followWindow(socket: Socket): void {
  const tell = () =>
    socket.write(encodeFrame('W', `${process.stdout.rows ?? 24} ${process.stdout.columns ?? 80}`));
  process.on('SIGWINCH', tell);
  tell();
}

async function flush(): Promise<void> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (output) =>
        new Promise<void>((resolve) => (output.destroyed ? resolve() : output.write('', () => resolve()))),
    ),
  );
}
