/**
 * Calls of `tart` that take minutes: what it says goes to the caller's standard error as it comes, and a caller who is told to
 * end ends it as well, so that it takes away what is half made. What an end means is for whoever asked.
 */
import { startGuestProcess } from '../../process/runner.ts';
import { parseComplaint } from './parse.ts';
import { TOOL, tartEnvironment } from './tool.ts';

const LIMITS = {
  tailCharacters: 4096,
  /** After SIGINT, for taking away what is half made. */
  endMs: 15_000,
} as const;
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

export type EndingSignal = (typeof ENDING)[number];

export interface LongEnd {
  readonly exitCode: number | null;
  /** The last line that says something; empty where it said nothing. */
  readonly complaint: string;
  /** What the caller was told to end by. */
  readonly interrupted: EndingSignal | null;
}

/** Raises `tool-missing`. */
export async function runVisibly(args: readonly string[]): Promise<LongEnd> {
  const started = await startGuestProcess(TOOL, args, {
    environment: tartEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    descriptors: [],
    // The keys of a terminal reach it through sand alone, and once.
    sharesSession: false,
    takesGroup: true,
  });
  const tail = { stdout: '', stderr: '' };
  for (const [descriptor, name] of [
    [1, 'stdout'],
    [2, 'stderr'],
  ] as const)
    started.outputs
      .get(descriptor)
      ?.on('data', (chunk: Buffer) => {
        tail[name] = (tail[name] + chunk.toString()).slice(-LIMITS.tailCharacters);
        process.stderr.write(chunk);
      })
      .on('error', () => {});
  let interrupted: EndingSignal | null = null;
  const interrupt = (signal: NodeJS.Signals) => {
    const again = interrupted !== null;
    interrupted ??= ENDING.find((name) => name === signal) ?? 'SIGTERM';
    // A second one is meant.
    started.kill(again ? 'SIGKILL' : 'SIGINT');
    if (!again) setTimeout(() => started.kill('SIGKILL'), LIMITS.endMs).unref();
  };
  for (const signal of ENDING) process.on(signal, interrupt);
  try {
    const { exitCode } = await started.ended;
    const complaint = parseComplaint(tail.stderr) || parseComplaint(tail.stdout);
    return { exitCode, complaint, interrupted };
  } finally {
    for (const signal of ENDING) process.off(signal, interrupt);
  }
}

/** Ends this process by the signal that it was told to end by, where nothing else listens to it. */
export function endBy(signal: EndingSignal): void {
  process.kill(process.pid, signal);
}
