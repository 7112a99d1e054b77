/**
 * One command in a guest: looked at, started, and waited for. The tool hands no signal on and its exit code may be its
 * own, so both go by the relay, which knows what became of the command.
 */
import { randomUUID } from 'node:crypto';
import { isatty } from 'node:tty';
import { SandError } from '../../errors.ts';
import {
  parseStatus,
  RELAY_PLACES,
  type RelaySignal,
  type RelayStatus,
  relayEnvironment,
  runArguments,
  signalArguments,
  statusArguments,
} from '../../links/relay/relay-program.ts';
import { type GuestProcess, startGuestProcess } from '../../process/runner.ts';
import type { ExitStatus, GuestCommand } from '../backend.ts';
import { stopOnAbort } from '../command-stop.ts';
import { requirePassed } from '../probe-failure.ts';
import { requireNoFolder } from '../standard-streams.ts';
import { planExec, planInspect } from './argv.ts';
import { judgeContainer } from './container-verdicts.ts';
import type { AppleHandle } from './handle.ts';
import { askRelay } from './in-guest.ts';
import { type ContainerFacts, parseContainers } from './parse.ts';
import { containerEnvironment, runContainer, TOOL, TOOL_LIMITS } from './tool.ts';

/** A signal can come before the relay knows of the command, which takes as long as the tool does to get there. */
const SIGNAL_ATTEMPTS = 20;
const SIGNAL_PAUSE_MS = 250;
/** The tool waits some seconds for streams that what the command left behind holds open. */
const ENDING_MS = 15_000;
/** The command has ended, and its record is on its way. */
const STATUS_ATTEMPTS = 20;
const STATUS_PAUSE_MS = 100;

/**
 * What the tool may say of itself as well: an end without a word from the guest, a fault of its own, a command line that it does
 * not take, a machine that is gone.
 */
const AMBIGUOUS: ReadonlySet<number> = new Set([0, 1, 64, 125, 255]);

/** `confined`: the start probes of the guest, which the command waits for. */
export async function runCommand(
  handle: AppleHandle,
  confined: Promise<void>,
  command: GuestCommand,
  signal: AbortSignal,
): Promise<ExitStatus> {
  requireNoFolder(command.stdio);
  const id = randomUUID();
  const results = judgeContainer(await inspectContainer(handle.container));
  await command.admit(results);
  requirePassed(results);
  await confined;
  signal.throwIfAborted();
  const started = await startTool(handle, id, command);
  drain(started, command);
  let hasEnded = false;
  const send = (name: RelaySignal) => void signalCommand(handle.container, id, name, () => hasEnded);
  const stopping = stopOnAbort(signal, command, {
    ask: () => send('TERM'),
    end() {
      send('KILL');
      // Where not even that is heard, nobody waits for the tool any longer.
      setTimeout(() => started.kill('SIGKILL'), ENDING_MS).unref();
    },
  });
  try {
    command.started?.({ forward: (name) => send(relaySignal(name)) });
    const { exitCode } = await started.ended;
    hasEnded = true;
    return { code: await codeOf(handle.container, id, exitCode, stopping.stopped()) };
  } finally {
    hasEnded = true;
    stopping.release();
  }
}

/** Null where the tool knows none of that name, or what it says does not read. */
export async function inspectContainer(container: string): Promise<ContainerFacts | null> {
  const printed = await runContainer(planInspect(container), TOOL_LIMITS.queryMs);
  return parseContainers(printed)?.find(({ id }) => id === container) ?? null;
}

/**
 * Variables go by the tool's own environment, where no list of processes shows them. A terminal is handed over; anything
 * else goes through a pipe, since the tool makes what it reads non-blocking for everybody who has it.
 */
function startTool(handle: AppleHandle, id: string, command: GuestCommand): Promise<GuestProcess> {
  const variables = { ...handle.environment, ...command.environment };
  const named = relayEnvironment(variables);
  const [input, output, error] = command.stdio;
  const terminal = input === 'inherit' && output === 'inherit' && isatty(0) && isatty(1);
  const args = planExec({
    name: handle.container,
    interactive: input !== 'ignore',
    terminal,
    variables: Object.keys(named),
    command: [
      RELAY_PLACES.program,
      ...runArguments({
        id,
        user: handle.user,
        workdir: command.workdir ?? handle.workdir,
        command: command.argv,
      }),
    ],
  });
  return startGuestProcess(TOOL, args, {
    environment: { ...named, ...containerEnvironment() },
    stdio: [input === 'inherit' && !terminal ? process.stdin : input, output, error],
    descriptors: [],
    sharesSession: terminal,
    takesGroup: !terminal,
  });
}

/** A full pipe would stop the guest. */
function drain(started: GuestProcess, command: GuestCommand): void {
  for (const [descriptor, name] of [
    [1, 'stdout'],
    [2, 'stderr'],
  ] as const) {
    const stream = started.outputs.get(descriptor);
    stream?.on('data', (chunk: Buffer) => {
      const taken = command.output?.(name, chunk);
      if (taken === undefined) return;
      stream.pause();
      void taken.catch(() => {}).then(() => stream.resume());
    });
  }
}

const SIGNALS: Readonly<Partial<Record<NodeJS.Signals, RelaySignal>>> = {
  SIGHUP: 'HUP',
  SIGINT: 'INT',
  SIGQUIT: 'QUIT',
  SIGKILL: 'KILL',
  SIGUSR1: 'USR1',
  SIGUSR2: 'USR2',
};

/** One that the relay does not know ends the command as SIGTERM does. */
function relaySignal(name: NodeJS.Signals): RelaySignal {
  return SIGNALS[name] ?? 'TERM';
}

async function signalCommand(
  container: string,
  id: string,
  name: RelaySignal,
  hasEnded: () => boolean,
): Promise<void> {
  for (let attempt = 0; attempt < SIGNAL_ATTEMPTS && !hasEnded(); attempt++) {
    const output = await askRelay({ container, words: signalArguments(id, name) }).catch(() => null);
    if (output?.exitCode === 0) return;
    await pause(SIGNAL_PAUSE_MS);
  }
}

/** By the tool's exit code where only a command of the guest's can have given it, else by the relay's record. */
async function codeOf(
  container: string,
  id: string,
  exitCode: number | null,
  isStopped: boolean,
): Promise<number> {
  if (exitCode !== null && !AMBIGUOUS.has(exitCode)) return exitCode;
  let state: RelayStatus | null = null;
  for (let attempt = 0; attempt < STATUS_ATTEMPTS; attempt++) {
    state = await statusOf(container, id);
    if (state?.state === 'exited') return state.code;
    if (state?.state === 'unknown') break;
    // The tool has given up, and the command goes on without it.
    if (state !== null && attempt === STATUS_ATTEMPTS / 2)
      await askRelay({ container, words: signalArguments(id, 'KILL') });
    await pause(STATUS_PAUSE_MS);
  }
  if (isStopped) return 137;
  throw new SandError(
    'guest-failed',
    `the command did not run to its end: container ended with ${exitCode ?? 'a signal'}, and the guest\u2019s relay ${state?.state === 'unknown' ? 'knows nothing of it' : 'has no end of it'}`,
    'read what container printed above, and run `sand doctor --backend apple-container`',
  );
}

/** Null where the tool or the relay did not answer, which may be another time. */
async function statusOf(container: string, id: string): Promise<RelayStatus | null> {
  const output = await askRelay({ container, words: statusArguments(id) }).catch(() => null);
  return output?.exitCode === 0 ? parseStatus(output.stdout) : null;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
