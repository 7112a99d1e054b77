/**
 * Runs Apple's `container`: with a scrubbed environment, a bound on every call, and its failures as errors of sand's. What it
 * is told is `argv.ts`'s, what its answers mean `parse.ts`'s.
 */
import { homedir } from 'node:os';
import { SandError } from '../../errors.ts';
import { runTool, type ToolOutput } from '../../process/runner.ts';
import { toolEnvironment } from '../../process/tool-path.ts';
import { parseComplaint } from './parse.ts';

export const TOOL = 'container';

/** Milliseconds. Queries answer at once; the tool's own helpers can take seconds after a login. */
export const TOOL_LIMITS = {
  queryMs: 20_000,
  /** Unpacks an image where that was not done yet. */
  createMs: 300_000,
  startMs: 120_000,
  /** Gigabytes, by whatever line this machine has. */
  pullMs: 3_600_000,
  buildMs: 7_200_000,
  /** Beyond the grace that the guest was given. */
  stopSlackMs: 30_000,
  commandMs: 30_000,
} as const;

/** Its settings and data lie below the home; further variables of the caller would change what it does. */
export function containerEnvironment(): Readonly<Record<string, string>> {
  return { ...toolEnvironment(process.env), HOME: process.env.HOME ?? homedir() };
}

/** A non-zero exit is a value. Raises `tool-missing`, and `backend-unavailable` where it does not answer in time. */
export async function askContainer(
  args: readonly string[],
  timeoutMs: number,
  options: { readonly input?: string | Buffer; readonly signal?: AbortSignal } = {},
): Promise<ToolOutput> {
  const output = await runTool(TOOL, args, {
    ...options,
    // What is left of a grace is seldom whole.
    timeoutMs: Math.ceil(timeoutMs),
    environment: { HOME: process.env.HOME ?? homedir() },
  });
  if (!output.timedOut) return output;
  throw new SandError(
    'backend-unavailable',
    `\`container ${args[0]}\` did not answer within ${Math.ceil(timeoutMs / 1000)} seconds`,
    'restart its services: container system stop, then container system start',
  );
}

/** Its standard output, where it succeeded. Raises `tool-failed` and `backend-unavailable` with what it said. */
export async function runContainer(
  args: readonly string[],
  timeoutMs: number,
  options: { readonly input?: string | Buffer; readonly signal?: AbortSignal } = {},
): Promise<string> {
  const output = await askContainer(args, timeoutMs, options);
  options.signal?.throwIfAborted();
  if (output.exitCode === 0) return output.stdout;
  throw failure(args, output);
}

export function failure(args: readonly string[], { exitCode, stderr }: ToolOutput): SandError {
  const complaint = parseComplaint(stderr);
  const said = complaint === '' ? `exit code ${exitCode}` : complaint;
  if (/XPC|container system start/i.test(stderr)) {
    return new SandError(
      'backend-unavailable',
      `the services of Apple\u2019s container do not run (${said})`,
      'start them: container system start --enable-kernel-install',
    );
  }
  return new SandError(
    'tool-failed',
    `\`container ${args[0]}\` failed: ${said}`,
    'run `sand doctor --backend apple-container`; it looks at the tool step by step',
    { details: { exitCode, complaint } },
  );
}
