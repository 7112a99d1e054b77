/** Runs the tool where a person watches: what it prints goes on to standard error as it comes, and what it complained of is kept. */
import { startGuestProcess } from '../../process/runner.ts';
import { parseFinalComplaint } from './parse.ts';
import { containerEnvironment, TOOL } from './tool.ts';

/** A build prints megabytes; what went wrong stands at the end. */
const KEPT_CHARACTERS = 64 * 1024;

export interface ShownOutcome {
  /** Null where it did not end by itself. */
  readonly exitCode: number | null;
  /** One line; empty where it said nothing that begins as its errors do. */
  readonly complaint: string;
  readonly timedOut: boolean;
}

/** A signal of the terminal's reaches it as it does sand. Raises `tool-missing`. */
export async function runShown(args: readonly string[], timeoutMs: number): Promise<ShownOutcome> {
  const tool = await startGuestProcess(TOOL, args, {
    environment: containerEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
    descriptors: [],
    sharesSession: true,
  });
  let tail = '';
  tool.outputs.get(2)?.on('data', (chunk: Buffer) => {
    process.stderr.write(chunk);
    tail = `${tail}${chunk.toString('utf8')}`.slice(-KEPT_CHARACTERS);
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    tool.kill('SIGKILL');
  }, timeoutMs);
  try {
    const { exitCode } = await tool.ended;
    return { exitCode, complaint: parseFinalComplaint(tail), timedOut };
  } finally {
    clearTimeout(timer);
  }
}
