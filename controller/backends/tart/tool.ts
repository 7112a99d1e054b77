/**
 * Runs `tart`: with a scrubbed environment, a bound on every call, and its failures as errors of sand's. What it is told
 * is `argv.ts`'s, what its answers mean `parse.ts`'s.
 */
import { homedir } from 'node:os';
import { isAbsolute } from 'node:path';
import { SandError } from '../../errors.ts';
import { runTool, type ToolOutput } from '../../process/runner.ts';
import { toolEnvironment } from '../../process/tool-path.ts';
import { planExec } from './argv.ts';
import { isFullDisk, isLockedKeychain, parseComplaint } from './parse.ts';

export const TOOL = 'tart';

/** Milliseconds. */
export const TOOL_LIMITS = {
  queryMs: 20_000,
  /** Copy-on-write, but for an image on another disk. */
  cloneMs: 600_000,
  /** `set` may grow a disk. */
  setMs: 60_000,
  /** From the start of `tart run` to the cable: the framework's own work. */
  cableMs: 90_000,
  /** Until the guest's agent answers: the boot, and on macOS the login. */
  bootMs: 180_000,
  /** Of one look whether it does: without an agent the tool tries for ten seconds. */
  lookMs: 20_000,
  lookPauseMs: 500,
  /** Between two lines that tell how long it may still take. */
  tellMs: 10_000,
  /** Of sand's own scripts in the guest. */
  scriptMs: 60_000,
  stopSlackMs: 20_000,
  deleteMs: 60_000,
  /** From the end of its cable to a machine's own end. */
  lastWordMs: 2_000,
} as const;

/** Of `tart`, where it means a machine that is not there, that does not run, or that runs already. */
export const NOT_SO = 2;

/** What a full disk needs; sand itself takes no image away. */
export const MAKE_ROOM =
  'make room: `tart list` shows what there is, `tart delete NAME` and `tart prune` take it away';

/** Where the tool keeps what it has, and whom it signs in as at a registry; nothing else of the caller's. */
const PASSED: readonly string[] = [
  'TART_HOME',
  'TART_REGISTRY_HOSTNAME',
  'TART_REGISTRY_USERNAME',
  'TART_REGISTRY_PASSWORD',
];

/**
 * Never TRACEPARENT or OTEL_*, with which the tool would tell its command line to a collector; and a clone must not take
 * other images away to make room.
 */
export function tartEnvironment(): Readonly<Record<string, string>> {
  return { ...toolEnvironment(process.env), ...ownEnvironment() };
}

function ownEnvironment(): Readonly<Record<string, string>> {
  const passed = PASSED.flatMap((name) => {
    const value = process.env[name];
    return value === undefined || (name === 'TART_HOME' && !isAbsolute(value))
      ? []
      : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(passed),
    HOME: process.env.HOME ?? homedir(),
    TART_NO_AUTO_PRUNE: '1',
  };
}

export interface CallOptions {
  readonly input?: string | Buffer;
  readonly signal?: AbortSignal;
}

/** A non-zero exit is a value. Raises `tool-missing`, and `backend-unavailable` where it does not answer in time. */
export async function askTart(
  args: readonly string[],
  timeoutMs: number,
  options: CallOptions = {},
): Promise<ToolOutput> {
  const output = await attemptTart(args, timeoutMs, options);
  if (!output.timedOut) return output;
  throw new SandError(
    'backend-unavailable',
    `\`tart ${args[0]}\` did not answer within ${timeoutMs / 1000} seconds`,
    'run `sand doctor --backend tart`; it looks at the tool step by step',
  );
}

/** A time limit is a value as well. Raises `tool-missing`. */
export function attemptTart(
  args: readonly string[],
  timeoutMs: number,
  options: CallOptions = {},
): Promise<ToolOutput> {
  return runTool(TOOL, args, { ...options, timeoutMs, environment: ownEnvironment() });
}

/** Its standard output, where it succeeded. Raises `tool-failed` and `backend-unavailable` with what it said. */
export async function runTart(
  args: readonly string[],
  timeoutMs: number,
  options: CallOptions = {},
): Promise<string> {
  const output = await askTart(args, timeoutMs, options);
  options.signal?.throwIfAborted();
  if (output.exitCode === 0) return output.stdout;
  throw failure(args, output);
}

/** A script of sand's in the guest, which comes by its standard input: no list of processes shows it. */
export function askGuest(
  machine: string,
  script: string,
  options: Pick<CallOptions, 'signal'> & { readonly timeoutMs?: number } = {},
): Promise<ToolOutput> {
  const { timeoutMs = TOOL_LIMITS.scriptMs, ...rest } = options;
  const command = ['/bin/bash', '--noprofile', '--norc', '-c', 'eval "$(cat)"'];
  const args = planExec({ name: machine, interactive: true, terminal: false, command });
  return askTart(args, timeoutMs, { ...rest, input: script });
}

export function failure(
  args: readonly string[],
  { exitCode, stderr }: Pick<ToolOutput, 'exitCode' | 'stderr'>,
): SandError {
  const complaint = parseComplaint(stderr);
  const said = complaint === '' ? `exit code ${exitCode}` : complaint;
  if (isLockedKeychain(stderr)) {
    return new SandError(
      'backend-unavailable',
      `macOS keeps Tart from its keychain (${said})`,
      'log in at the Mac\u2019s own screen once, or unlock it: security unlock-keychain login.keychain',
    );
  }
  return new SandError(
    'tool-failed',
    `\`tart ${args[0]}\` failed: ${said}`,
    isFullDisk(complaint) ? MAKE_ROOM : 'run `sand doctor --backend tart`; it looks at the tool step by step',
    { details: { exitCode, complaint } },
  );
}
