/**
 * One command in a guest: starts it held, judges its report, lets it go, and waits for its end. Whatever
 * goes wrong before it is let go, it never ran.
 */
import { readFileSync } from 'node:fs';
import { SandError } from '../../errors.ts';
import { type GuestProcess, startGuestProcess } from '../../process/runner.ts';
import { toolEnvironment } from '../../process/tool-path.ts';
import type { ExitStatus, GuestCommand } from '../backend.ts';
import { stopOnAbort } from '../command-stop.ts';
import { requirePassed } from '../probe-failure.ts';
import { requireNoFolder } from '../standard-streams.ts';
import { GO_DESCRIPTOR, type Launch, REPORT_DESCRIPTOR } from './argv.ts';
import { collect, delayed } from './collected.ts';
import { judgeReport, parseReport, type ReportExpectations } from './report.ts';

/** A report of some hundred mounts is 20 KB. */
const REPORT_BYTES = 1024 * 1024;
/** nsenter waits beside the command, and keeps its end of the report open. */
const REPORT_END = '\nend\n';
/** bubblewrap sets up within tens of milliseconds; under heavy load within seconds. */
const REPORT_TIMEOUT_MS = 30_000;
/** A person at a terminal does not notice, and a look costs one small file. */
const WAKING_LOOK_MS = 200;
/** What is kept of bubblewrap's own complaint when the guest does not come up. */
const COMPLAINT_BYTES = 4_096;

export interface CommandExpectations extends ReportExpectations {
  /** The start probes of the guest's link; the command is held until they have passed. */
  readonly confined: Promise<void>;
}

export async function runCommand(
  launch: Launch,
  command: GuestCommand,
  signal: AbortSignal,
  expected: CommandExpectations,
): Promise<ExitStatus> {
  requireNoFolder(command.stdio);
  const guest = await startGuestProcess(launch.file, launch.args, {
    // Only what nsenter and bwrap need; the guest's own environment is among the handed-over arguments.
    environment: toolEnvironment(process.env),
    stdio: command.stdio,
    descriptors: ['output', 'input', ...launch.data],
    sharesSession: command.terminal,
    // As for the guest's init: a killed bubblewrap can leave a child that waits for its leave.
    takesGroup: true,
  });
  for (const [descriptor, name] of [
    [1, 'stdout'],
    [2, 'stderr'],
  ] as const) {
    const stream = guest.outputs.get(descriptor);
    stream?.on('data', (chunk: Buffer) => {
      const taken = command.output?.(name, chunk);
      if (taken === undefined) return;
      stream.pause();
      void taken.catch(() => {}).then(() => stream.resume());
    });
  }
  let state: 'held' | 'running' | 'ended' = 'held';
  const send = (name: NodeJS.Signals) => {
    // After the end, the pid may be another process's.
    if (state === 'running') forward(guest, name);
    else if (state === 'held') kill(guest);
  };
  // SIGKILL to bubblewrap takes the command with it.
  const stopping = stopOnAbort(signal, command, { ask: () => send('SIGTERM'), end: () => kill(guest) });
  const endWaking = keepAwake(guest);
  try {
    const found = await admit(guest, command, expected);
    await expected.confined;
    signal.throwIfAborted();
    if (!found) {
      kill(guest);
      await guest.ended;
      return { code: 127 };
    }
    state = 'running';
    command.started?.({ forward: send });
    guest.finish(GO_DESCRIPTOR, 'go\n');
    const ended = await guest.ended;
    if (ended.exitCode === null && !stopping.stopped()) throw monitorKilled(ended.signal);
    return { code: ended.exitCode ?? 137 };
  } catch (error) {
    kill(guest);
    await guest.ended;
    throw error;
  } finally {
    state = 'ended';
    stopping.release();
    endWaking();
  }
}

/**
 * bubblewrap's own process takes the guest with it, but for one that it has not tied to itself yet: that one is
 * still held, and ends when its leave can no more come.
 */
function kill(guest: GuestProcess): void {
  guest.kill('SIGKILL');
  guest.finish(GO_DESCRIPTOR, '');
}

function monitorKilled(signal: string | null): SandError {
  return new SandError(
    'guest-failed',
    `the command was ended from outside: its bubblewrap process was killed (${signal ?? 'no signal'})`,
    'look for what ends processes on this machine, such as a memory limit; a guest can also kill that process of its own',
  );
}

/** Reads and judges the report; whether the command exists in the guest. */
async function admit(
  guest: GuestProcess,
  command: Pick<GuestCommand, 'admit'>,
  expected: CommandExpectations,
): Promise<boolean> {
  const collected = collect(guest.outputs.get(REPORT_DESCRIPTOR), REPORT_BYTES, REPORT_END);
  // What it left behind may hold the report open past its end.
  const over = guest.ended.then(() => null);
  const text = await Promise.race([collected.whole, over, delayed(REPORT_TIMEOUT_MS)]);
  const report = text === null ? null : parseReport(text);
  if (report === null) {
    kill(guest);
    const ended = await guest.ended;
    throw new SandError(
      'guest-failed',
      `the guest did not come up (${ended.signal ?? `bubblewrap ended with ${ended.exitCode}`})`,
      'read what bubblewrap printed above, and run `sand doctor`',
      { details: { complaint: text?.slice(0, COMPLAINT_BYTES) ?? null } },
    );
  }
  const results = judgeReport(report, expected);
  await command.admit(results);
  requirePassed(results);
  return report.commandFound;
}

/**
 * nsenter stops itself when its child is found stopped: after a terminal's Ctrl-Z, which stops sand as well, also when all
 * have gone on already; and where a guest stops what waits for its command. It has no reason to while sand runs, and
 * would never tell how the command ended. Gives what ends the watching.
 */
function keepAwake(guest: GuestProcess): () => void {
  const wake = () => {
    if (isStopped(guest.pid)) guest.kill('SIGCONT');
  };
  const timer = setInterval(wake, WAKING_LOOK_MS).unref();
  return () => clearInterval(timer);
}

function isStopped(pid: number): boolean {
  try {
    return / T \d/.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, ''));
  } catch {
    return false;
  }
}

/** nsenter, which was started, waits for bubblewrap, and that for the command; see proc(5), children. */
function forward(guest: GuestProcess, signal: NodeJS.Signals): void {
  const waiting = firstChild(guest.pid);
  const child = waiting === undefined ? undefined : firstChild(waiting);
  if (child === undefined) {
    guest.kill(signal === 'SIGINT' ? 'SIGTERM' : signal);
    return;
  }
  try {
    process.kill(child, signal);
  } catch {
    // It has just ended.
  }
}

function firstChild(pid: number): number | undefined {
  try {
    const first = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0];
    return first === undefined || first === '' ? undefined : Number(first);
  } catch {
    return undefined;
  }
}
