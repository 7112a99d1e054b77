/**
 * One command in a gVisor guest: a look at the guest first, judged, then the command itself. gVisor starts what
 * it is told at once, so nothing is held: what is not let go is never started.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream, fstatSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { isatty } from 'node:tty';
import { SandError } from '../../../errors.ts';
import { type GuestProcess, startGuestProcess } from '../../../process/runner.ts';
import { toolEnvironment } from '../../../process/tool-path.ts';
import type { ExitStatus, GuestCommand } from '../../backend.ts';
import { stopOnAbort } from '../../command-stop.ts';
import { requirePassed } from '../../probe-failure.ts';
import { requireNoFolder } from '../../standard-streams.ts';
import { type CommandSpec, planCommandProcess, planReportProcess } from './bundle.ts';
import { readOutside } from './holder.ts';
import { CONTROL_DESCRIPTOR, planExec } from './launch.ts';
import { type GvisorExpectations, judgeInside, judgeOutside, parseInside } from './report.ts';

/** A look takes a third of a second; under heavy load seconds. */
const REPORT_TIMEOUT_MS = 30_000;
/** /proc/self/status and some lines. */
const REPORT_BYTES = 64 * 1024;

export interface GvisorCommandSpec extends Omit<CommandSpec, 'command'> {
  readonly holderPid: number;
  readonly initPid: number;
  readonly joining: readonly string[];
  /** A name that only this guest's gateway knows. */
  readonly reservedName: string;
  readonly expected: GvisorExpectations;
  /** The start probes of the guest's link; no command is started before they have passed. */
  readonly confined: Promise<void>;
}

export async function runGvisorCommand(
  spec: GvisorCommandSpec,
  command: GuestCommand,
  signal: AbortSignal,
): Promise<ExitStatus> {
  requireNoFolder(command.stdio);
  const stopping = AbortSignal.any([signal, command.kill]);
  const whole: CommandSpec = { ...spec, command: command.argv };
  const found = await admit(spec, whole, command, stopping);
  await spec.confined;
  stopping.throwIfAborted();
  if (!found) return { code: 127 };
  const terminal = command.terminal && command.stdio.every((kind, at) => kind === 'inherit' && isatty(at));
  const { guest, drained } = await start(
    { spec, process: planCommandProcess(whole, terminal), terminal },
    command,
  );
  // Its end takes all of its session.
  const stop = stopOnAbort(signal, command, {
    ask: () => guest.write(CONTROL_DESCRIPTOR, 'TERM\n'),
    end: () => {
      guest.finish(CONTROL_DESCRIPTOR, '');
      guest.kill('SIGKILL');
    },
  });
  const forward = (name: NodeJS.Signals) => guest.write(CONTROL_DESCRIPTOR, `${name.slice('SIG'.length)}\n`);
  // A terminal that is only some of the streams gives its signals to the host's processes alone.
  const relayed: readonly NodeJS.Signals[] = command.terminal && !terminal ? ['SIGINT', 'SIGQUIT'] : [];
  for (const name of relayed) process.on(name, forward);
  try {
    command.started?.({ forward });
    await guest.exited;
    // The watcher holds the control descriptor until it is told.
    guest.finish(CONTROL_DESCRIPTOR, stop.stopped() ? '' : 'done\n');
    const ended = await guest.ended;
    await drained;
    if (ended.exitCode === null && !stop.stopped()) throw execKilled(ended.signal);
    return { code: ended.exitCode ?? 137 };
  } finally {
    // Without `done` first, this ends what still runs of the command.
    guest.finish(CONTROL_DESCRIPTOR, '');
    for (const name of relayed) process.off(name, forward);
    stop.release();
  }
}

function execKilled(signal: string | null): SandError {
  return new SandError(
    'guest-failed',
    `the command was ended from outside: somebody killed its runsc process on the host (${signal ?? 'no signal'})`,
    'look for what ends processes on this machine, such as a memory limit',
  );
}

/** Whether the command exists in the guest. Raises `probe-failed`, `guest-failed`. */
async function admit(
  spec: GvisorCommandSpec,
  whole: CommandSpec,
  command: Pick<GuestCommand, 'admit'>,
  signal: AbortSignal,
): Promise<boolean> {
  const launch = planExec({
    holderPid: spec.holderPid,
    initPid: spec.initPid,
    joining: spec.joining,
    id: newId(),
    process: planReportProcess(whole, spec.reservedName),
    terminal: false,
  });
  const look = await startGuestProcess(launch.file, launch.args, {
    environment: toolEnvironment(process.env),
    stdio: ['ignore', 'pipe', 'pipe'],
    descriptors: ['input', ...launch.data],
    sharesSession: false,
  });
  const end = () => look.kill('SIGKILL');
  const timer = setTimeout(end, REPORT_TIMEOUT_MS);
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  const text = collect(look.outputs.get(1));
  const complaint = collect(look.outputs.get(2));
  await look.exited;
  look.finish(CONTROL_DESCRIPTOR, signal.aborted ? '' : 'done\n');
  const { exitCode } = await look.ended;
  clearTimeout(timer);
  signal.removeEventListener('abort', end);
  signal.throwIfAborted();
  const report = parseInside(text());
  if (report === null) {
    throw new SandError(
      'guest-failed',
      `the guest could not be looked at: ${complaint().trim() || `runsc ended with ${exitCode}`}`,
      'run `sand doctor`; the guest needs sh and, for a user of its own, unshare of util-linux',
      { details: { said: complaint(), report: text() } },
    );
  }
  const outside = readOutside(spec.initPid);
  const results = [...judgeInside(report, spec.expected), ...judgeOutside(outside, spec.expected)];
  await command.admit(results);
  requirePassed(results);
  return report.commandFound;
}

/** Other processes run commands in the same guest. */
function newId(): string {
  return randomBytes(8).toString('hex');
}

function collect(stream: Readable | undefined): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    if (text.length < REPORT_BYTES) text += chunk;
  });
  return () => text;
}

async function start(
  plan: { readonly spec: GvisorCommandSpec; readonly process: string; readonly terminal: boolean },
  command: GuestCommand,
): Promise<{ readonly guest: GuestProcess; readonly drained: Promise<unknown> }> {
  const { holderPid, initPid, joining } = plan.spec;
  const launch = planExec({
    holderPid,
    initPid,
    joining,
    id: newId(),
    process: plan.process,
    terminal: command.terminal,
  });
  const [input, output, error] = command.stdio;
  const guest = await startGuestProcess(launch.file, launch.args, {
    environment: toolEnvironment(process.env),
    stdio: [
      isOwnFile(input, 0) ? 'input' : input,
      isOwnFile(output, 1) ? 'pipe' : output,
      isOwnFile(error, 2) ? 'pipe' : error,
    ],
    descriptors: ['input', ...launch.data],
    sharesSession: command.terminal,
  });
  if (isOwnFile(input, 0)) guest.feed(0, createReadStream('', { fd: 0, autoClose: false }));
  const drained = ([1, 2] as const).map((descriptor) => {
    const stream = guest.outputs.get(descriptor);
    if (command.stdio[descriptor] !== 'inherit') return relay(stream, descriptor, command);
    return copyToFile(stream, descriptor);
  });
  return { guest, drained: Promise.all(drained) };
}

/**
 * gVisor reads and writes a file that it is handed from its beginning, whatever was read or written of it: so
 * it is handed a pipe in its place.
 */
function isOwnFile(kind: GuestCommand['stdio'][number], descriptor: number): boolean {
  return kind === 'inherit' && fstatSync(descriptor).isFile();
}

function copyToFile(stream: Readable | undefined, descriptor: number): Promise<void> {
  if (stream === undefined) return Promise.resolve();
  stream.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) at += writeSync(descriptor, chunk, at);
  });
  return new Promise((resolve) => {
    stream.on('close', resolve);
  });
}

function relay(stream: Readable | undefined, descriptor: 1 | 2, command: GuestCommand): Promise<void> {
  stream?.on('data', (chunk: Buffer) => {
    const taken = command.output?.(descriptor === 1 ? 'stdout' : 'stderr', chunk);
    if (taken === undefined) return;
    stream.pause();
    void taken.catch(() => {}).then(() => stream.resume());
  });
  return Promise.resolve();
}
