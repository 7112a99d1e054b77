/**
 * One command in a guest: looked at, started, and waited for. The tool hands no signal on, its exit code may be its own, and it
 * waits for whoever holds the command's streams; so the guest says itself what became of the command.
 */
import { randomUUID } from 'node:crypto';
import { isatty } from 'node:tty';
import { SandError } from '../../errors.ts';
import { type GuestProcess, startGuestProcess } from '../../process/runner.ts';
import type { ExitStatus, GuestCommand } from '../backend.ts';
import { stopOnAbort } from '../command-stop.ts';
import { requirePassed } from '../probe-failure.ts';
import { requireNoFolder } from '../standard-streams.ts';
import { planExec } from './argv.ts';
import { EndReader } from './command-end.ts';
import {
  awaitEndScript,
  endScript,
  RUN_SCRIPT,
  runWords,
  signalScript,
  TERMINAL_SCRIPT,
  variablesScript,
} from './guest-scripts.ts';
import type { TartHandle } from './handle.ts';
import { lookAtMachine } from './machines.ts';
import { type CommandOutput, passOutput } from './output.ts';
import { askGuest, failure, TOOL, tartEnvironment } from './tool.ts';

const LIMITS = {
  /** A signal can come before the command is there, which takes as long as the tool does to get there. */
  signalAttempts: 20,
  signalPauseMs: 250,
  /** The command has ended: what it left behind may hold its streams, and is not waited for once they say nothing for so long. */
  drainMs: 3_000,
  /** Not even SIGKILL was heard. */
  killMs: 15_000,
  endAttempts: 5,
  endPauseMs: 200,
  /** A terminal's command can take for ever. */
  longestMs: 2 ** 31 - 1,
} as const;

/** `confined`: the start probes of the guest, which the command waits for. */
export async function runCommand(
  handle: TartHandle,
  confined: Promise<void>,
  command: GuestCommand,
  signal: AbortSignal,
): Promise<ExitStatus> {
  requireNoFolder(command.stdio);
  const { machine } = handle;
  const results = [await judgeMachine(machine)];
  await command.admit(results);
  requirePassed(results);
  await confined;
  signal.throwIfAborted();
  const id = randomUUID();
  await giveVariables(machine, id, command.environment ?? {});
  const [input, output] = command.stdio;
  const isTerminal = input === 'inherit' && output === 'inherit' && isatty(0) && isatty(1);
  const started = await startTool(handle, id, command, isTerminal);
  let hasEnded = false;
  const send = (name: string) => void signalCommand(machine, id, name, () => hasEnded);
  let isUnread = false;
  const unread = () => {
    // As it would meet a pipe of its own.
    if (!isUnread) send('PIPE');
    isUnread = true;
  };
  const told = isTerminal ? watchTerminal(machine, id, started) : watchStreams(started, id, command, unread);
  const stopping = stopOnAbort(signal, command, {
    ask: () => send('TERM'),
    end() {
      send('KILL');
      setTimeout(() => started.kill('SIGKILL'), LIMITS.killMs).unref();
    },
  });
  try {
    command.started?.({ forward: (name) => send(name.replace(/^SIG/, '')) });
    const { exitCode } = await started.ended;
    hasEnded = true;
    await told.settled();
    return { code: told.status() ?? (await endOf(machine, id, exitCode, stopping.stopped())) };
  } finally {
    hasEnded = true;
    told.close();
    stopping.release();
  }
}

/** Fail closed: one that the tool does not tell of, or tells of otherwise, gets no command. */
async function judgeMachine(machine: string) {
  const facts = await lookAtMachine(machine).catch(() => null);
  const detail = facts === null ? 'the tool knows no such machine' : facts.running ? 'runs' : 'does not run';
  return { kind: 'probe', name: 'machine', passed: facts?.running === true, detail } as const;
}

async function giveVariables(
  machine: string,
  id: string,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  if (Object.keys(variables).length === 0) return;
  const output = await askGuest(machine, variablesScript(id, variables));
  if (output.exitCode !== 0) throw failure(['exec'], output);
}

/** A terminal is handed over; everything else goes through sand, which takes the end of the command out of it. */
function startTool(
  { machine, workdir }: TartHandle,
  id: string,
  command: GuestCommand,
  isTerminal: boolean,
): Promise<GuestProcess> {
  const [input] = command.stdio;
  const script = isTerminal ? TERMINAL_SCRIPT : RUN_SCRIPT;
  const args = planExec({
    name: machine,
    interactive: input !== 'ignore',
    terminal: isTerminal,
    command: runWords(script, id, command.workdir ?? workdir, command.argv),
  });
  const streams = isTerminal ? (['inherit', 'inherit'] as const) : (['pipe', 'pipe'] as const);
  return startGuestProcess(TOOL, args, {
    environment: { ...tartEnvironment(), TERM: process.env.TERM ?? 'xterm' },
    stdio: [input === 'inherit' && !isTerminal ? process.stdin : input, ...streams],
    descriptors: [],
    sharesSession: isTerminal,
    takesGroup: !isTerminal,
  });
}

interface Told {
  /** What the guest said of the command's end; null where it said nothing. */
  status(): number | null;
  /** All that the command said has been passed on. */
  settled(): Promise<void>;
  close(): void;
}

/** The end comes on the standard error, behind all that the command said there. */
function watchStreams(started: GuestProcess, id: string, command: GuestCommand, unread: () => void): Told {
  const reader = new EndReader(id);
  let timer: NodeJS.Timeout | null = null;
  const heard = () => {
    if (reader.status === null) return;
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(() => {
      // A reader that takes its time is no silence.
      if (outputs.some((one) => one.isBlocked())) heard();
      else started.kill('SIGKILL');
    }, LIMITS.drainMs);
  };
  const outputs: readonly CommandOutput[] = [
    passOutput(started.outputs.get(1), 'stdout', command, {
      own(chunk) {
        heard();
        return chunk;
      },
      unread,
    }),
    passOutput(started.outputs.get(2), 'stderr', command, {
      own(chunk) {
        const own = reader.push(chunk);
        heard();
        return own;
      },
      rest: () => reader.finish(),
      unread,
    }),
  ];
  return {
    status: () => reader.status,
    settled: async () => void (await Promise.all(outputs.map((one) => one.settled))),
    close: () => {
      if (timer !== null) clearTimeout(timer);
    },
  };
}

/** On a terminal there is one stream, and it is the command's own. */
function watchTerminal(machine: string, id: string, started: GuestProcess): Told {
  const stop = new AbortController();
  let status: number | null = null;
  const watch = async () => {
    const options = { signal: stop.signal, timeoutMs: LIMITS.longestMs };
    const { exitCode, stdout } = await askGuest(machine, awaitEndScript(id), options);
    if (exitCode !== 0 || stop.signal.aborted) return;
    status = parseEnd(stdout);
    setTimeout(() => started.kill('SIGKILL'), LIMITS.drainMs).unref();
  };
  watch().catch(() => {});
  return { status: () => status, settled: async () => {}, close: () => stop.abort() };
}

async function signalCommand(
  machine: string,
  id: string,
  name: string,
  hasEnded: () => boolean,
): Promise<void> {
  for (let attempt = 0; attempt < LIMITS.signalAttempts && !hasEnded(); attempt++) {
    const output = await askGuest(machine, signalScript(id, name)).catch(() => null);
    if (output?.exitCode === 0) return;
    await pause(LIMITS.signalPauseMs);
  }
}

/**
 * By the guest's own record. The tool's code alone says nothing: 0 can be a stream that was cut, 1 and 2 its own failures, 255
 * a signal.
 */
async function endOf(
  machine: string,
  id: string,
  exitCode: number | null,
  isStopped: boolean,
): Promise<number> {
  for (let attempt = 0; attempt < LIMITS.endAttempts; attempt++) {
    const output = await askGuest(machine, endScript(id)).catch(() => null);
    const status = output?.exitCode === 0 ? parseEnd(output.stdout) : null;
    if (status !== null) return status;
    if (output === null) break;
    // The tool has given up, and the command goes on without it.
    if (attempt === 0) await askGuest(machine, signalScript(id, 'KILL')).catch(() => null);
    await pause(LIMITS.endPauseMs);
  }
  if (isStopped) return 137;
  throw new SandError(
    'guest-failed',
    `the command did not run to its end: tart ended with ${exitCode ?? 'a signal'}, and the guest has no end of it`,
    'read what tart printed above, and run `sand doctor --backend tart`',
  );
}

function parseEnd(text: string): number | null {
  const match = /^(\d{1,3})\s*$/.exec(text);
  return match === null ? null : Number(match[1]) & 0xff;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
