/**
 * The one process runner, built on execa: tools whose output is read, with a bound, and guest processes
 * whose streams are the caller's own and never buffered. The planter alone is started elsewhere, since it
 * hands over handles.
 */
import type { ChildProcess } from 'node:child_process';
import { pipeline, Readable, Writable } from 'node:stream';
import { SandError } from '../errors.ts';
import { toolEnvironment } from './tool-path.ts';

/** Tool output is JSON or a few lines; execa escapes what it keeps, so a large bound costs memory. */
const TOOL_OUTPUT_BYTES = 4 * 1024 * 1024;

/** Begins to load what a process is run with, so that the first one does not wait for it. */
export function preloadRunner(): void {
  void import('execa');
}

/** How long a stream of a process that has ended may say nothing until it is closed: what it said is in the pipe already. */
const DRAIN_MS = 1_000;
/** How often that is waited for where somebody else goes on writing there. */
const DRAIN_TURNS = 10;

export interface ToolOutput {
  /** Null where the tool did not end by itself (killed, timed out). */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/**
 * Runs a tool to its end and gives what it said; a non-zero exit is a value. Raises `tool-missing` when it
 * cannot be started. Killed with its descendants at the time limit.
 */
export async function runTool(
  file: string,
  args: readonly string[],
  options: {
    readonly timeoutMs: number;
    readonly input?: string | Buffer;
    readonly signal?: AbortSignal;
    /** On top of what every tool gets. */
    readonly environment?: Readonly<Record<string, string>>;
  },
): Promise<ToolOutput> {
  const { execa } = await import('execa');
  const result = await execa(file, args, {
    reject: false,
    extendEnv: false,
    env: { ...options.environment, ...toolEnvironment(process.env) },
    input: options.input ?? '',
    // What is left of a limit is no whole number.
    timeout: Math.ceil(options.timeoutMs),
    maxBuffer: TOOL_OUTPUT_BYTES,
    killSignal: 'SIGKILL',
    // A child of the tool that keeps its pipes open would keep the caller waiting past the limit.
    killDescendants: true,
    stripFinalNewline: false,
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  });
  if (result.code === 'ENOENT' || result.code === 'EACCES') throw toolMissing(file, result.code);
  return {
    exitCode: result.exitCode ?? null,
    stdout: result.stdout,
    stderr: result.stderr,
    timedOut: result.timedOut,
  };
}

export interface GuestProcess {
  readonly pid: number;
  /** Text that arrives on the output descriptors, by descriptor (1 and 2 where piped); each ends when the guest closes it. */
  readonly outputs: ReadonlyMap<number, Readable>;
  /** Writes to an input descriptor that was left open. */
  write(descriptor: number, text: string): void;
  /** `done` is called once it is taken: the way to write no more than the process reads. */
  pass(descriptor: number, chunk: Buffer, done: (error?: Error | null) => void): void;
  /** All of a stream, and then its end. */
  feed(descriptor: number, source: Readable): void;
  /** Writes to it once more, and closes it. */
  finish(descriptor: number, text: string): void;
  /** Resolves when the process itself is gone; something that it started may still hold its streams. */
  readonly exited: Promise<void>;
  /** Resolves when the process is gone and its streams are read; never rejects. */
  readonly ended: Promise<{ readonly exitCode: number | null; readonly signal: string | null }>;
  kill(signal: NodeJS.Signals): void;
}

export interface GuestProcessOptions {
  readonly environment: Readonly<Record<string, string>>;
  /** What standard input, output and error are; `inherit` is the caller's own, `input` is written later by sand, a stream is fed. */
  readonly stdio: readonly [
    'inherit' | 'ignore' | 'input' | Readable,
    'inherit' | 'ignore' | 'pipe',
    'inherit' | 'ignore' | 'pipe',
  ];
  /** From descriptor 3 on, in order: read by sand, written later by sand, or bytes handed over at once. */
  readonly descriptors: readonly ('output' | 'input' | Buffer)[];
  /** Whether it stays in the caller's session, for job control; in one of its own no signal to the caller's group meets it. */
  readonly sharesSession: boolean;
  /** Whether its end, and SIGKILL, is also that of what it started and left in its process group; in a session of its own only. */
  readonly takesGroup?: boolean;
}

/** Raises `tool-missing`. The caller reads every output, else the guest stalls. */
export async function startGuestProcess(
  file: string,
  args: readonly string[],
  options: GuestProcessOptions,
): Promise<GuestProcess> {
  const { execa } = await import('execa');
  // Bytes are written below rather than by execa, whose machinery for an input costs milliseconds each.
  const extra = options.descriptors.map((descriptor): 'pipe' | ['pipe'] =>
    descriptor === 'output' ? 'pipe' : ['pipe'],
  );
  const [input, output, error] = options.stdio;
  const child = execa(file, args, {
    reject: false,
    buffer: false,
    extendEnv: false,
    env: options.environment,
    cleanup: false,
    detached: !options.sharesSession,
    stdio: [input === 'inherit' || input === 'ignore' ? input : ['pipe'], output, error, ...extra],
  });
  const pid = child.pid;
  if (pid === undefined) throw toolMissing(file, (await child).code ?? 'no reason given');
  options.descriptors.forEach((descriptor, at) => {
    if (Buffer.isBuffer(descriptor)) endDescriptor(child.stdio[at + 3], descriptor);
  });
  if (input instanceof Readable) feedDescriptor(child.stdio[0], input);
  const exited = new Promise<void>((resolve) => child.nodeChildProcess.once('exit', () => resolve()));
  let hasGroup = options.takesGroup === true && !options.sharesSession;
  const endGroup = () => {
    if (hasGroup) killGroup(pid);
  };
  void exited.then(() => {
    endGroup();
    // From here on the number can be another group's.
    hasGroup = false;
  });
  const outputs = new Map<number, Readable>();
  const kinds = [...options.stdio.map((kind) => (kind === 'pipe' ? 'output' : kind)), ...options.descriptors];
  const readable = new Set([...kinds.keys()].filter((descriptor) => kinds[descriptor] === 'output'));
  child.stdio.forEach((stream, descriptor) => {
    if (stream instanceof Readable && readable.has(descriptor)) outputs.set(descriptor, stream);
  });
  return {
    pid,
    outputs,
    write: (descriptor, text) => writeDescriptor(child.stdio[descriptor], text),
    pass: (descriptor, chunk, done) => passToDescriptor(child.stdio[descriptor], chunk, done),
    feed: (descriptor, source) => feedDescriptor(child.stdio[descriptor], source),
    finish: (descriptor, text) => endDescriptor(child.stdio[descriptor], text),
    exited,
    ended: endOf(child, child.nodeChildProcess),
    kill(signal) {
      child.kill(signal);
      if (signal === 'SIGKILL') endGroup();
    },
  };
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nothing of it is left.
  }
}

/**
 * With its output read to the end; but what it left running may keep its pipes open, and is not waited for once the
 * streams say nothing any more.
 */
function endOf(
  result: PromiseLike<{ readonly exitCode?: number; readonly signal?: string }>,
  child: ChildProcess,
): GuestProcess['ended'] {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    result.then(({ exitCode = null, signal = null }) => {
      clearInterval(timer);
      resolve({ exitCode, signal });
    });
    child.once('exit', (exitCode: number | null, signal: string | null) => {
      const streams = child.stdio.filter((stream) => stream instanceof Readable);
      let saidSomething = false;
      for (const stream of streams)
        stream.on('data', () => {
          saidSomething = true;
        });
      let turns = signal === null ? DRAIN_TURNS : 1;
      timer = setInterval(() => {
        const isHeld = streams.some((stream) => stream.isPaused());
        if (!isHeld) turns -= 1;
        if (isHeld || (saidSomething && turns > 0)) {
          saidSomething = false;
          return;
        }
        clearInterval(timer);
        for (const stream of child.stdio) stream?.destroy();
        resolve({ exitCode, signal });
      }, DRAIN_MS);
    });
  });
}

function toolMissing(file: string, why: string): SandError {
  const name = file.split('/').pop() ?? file;
  return new SandError(
    'tool-missing',
    `${name} cannot be run (${why})`,
    'run `sand doctor`: it names what is missing and the command that installs it',
    { details: { tool: name } },
  );
}

function writeDescriptor(stream: unknown, text: string): void {
  if (!(stream instanceof Writable) || stream.writableEnded) return;
  stream.on('error', () => {});
  stream.write(text);
}

function passToDescriptor(stream: unknown, chunk: Buffer, done: (error?: Error | null) => void): void {
  if (!(stream instanceof Writable) || stream.writableEnded) {
    done(new Error('the process reads no more'));
    return;
  }
  if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  stream.write(chunk, done);
}

/** Until either ends; then the other does as well. */
function feedDescriptor(stream: unknown, source: Readable): void {
  if (!(stream instanceof Writable)) return;
  pipeline(source, stream, () => {});
}

/** The other end may be gone already, which is for whoever waits for the process to tell. */
function endDescriptor(stream: unknown, content: string | Buffer): void {
  if (!(stream instanceof Writable)) return;
  stream.on('error', () => {});
  stream.end(content);
}
