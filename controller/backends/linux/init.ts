/**
 * The guest's first process on the host's side: started once, waited for until it holds the guest, and ended with
 * everything in it. What it is told is `argv.ts`'s.
 */
import { readlinkSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { SandError } from '../../errors.ts';
import { type GuestProcess, startGuestProcess } from '../../process/runner.ts';
import { toolEnvironment } from '../../process/tool-path.ts';
import { GO_DESCRIPTOR, type Launch, REPORT_DESCRIPTOR, STATUS_DESCRIPTOR } from './argv.ts';
import { collect, delayed } from './collected.ts';
import { isZombie } from './guest-processes.ts';

/** bubblewrap sets up within tens of milliseconds; under heavy load within seconds. */
const READY_TIMEOUT_MS = 30_000;
/** bubblewrap's status: two short JSON lines. */
const STATUS_BYTES = 4_096;
/** What is kept of bubblewrap's own complaint when the guest does not come up. */
const COMPLAINT_BYTES = 4_096;
const WORD_BYTES = 16;
/** A killed process is gone within milliseconds; one that waits for a disk, later. */
const END_TIMEOUT_MS = 5_000;
const LOOK_AGAIN_MS = 5;

export interface GuestInit {
  /** On the host. */
  readonly pid: number;
  /** Resolves when it has ended, and the guest with it. */
  readonly ended: Promise<void>;
  /** Ends everything in the guest. Idempotent; raises `teardown-failed` where it does not end. */
  end(): Promise<void>;
}

/** Raises `guest-failed` with what bubblewrap said, `tool-missing`; an abort ends it. */
export async function startInit(launch: Launch, signal: AbortSignal): Promise<GuestInit> {
  signal.throwIfAborted();
  const started = await startGuestProcess(launch.file, launch.args, {
    environment: toolEnvironment(process.env),
    stdio: ['ignore', 'ignore', 'pipe'],
    descriptors: ['output', 'input', 'output', ...launch.data],
    sharesSession: false,
    // bubblewrap that is killed between its clone and its leave for the child leaves that one waiting for ever.
    takesGroup: true,
  });
  const status = collect(started.outputs.get(STATUS_DESCRIPTOR), STATUS_BYTES);
  const complaint = collect(started.outputs.get(2), COMPLAINT_BYTES);
  const abort = () => kill(started);
  signal.addEventListener('abort', abort, { once: true });
  try {
    const word = await firstWord(started.outputs.get(REPORT_DESCRIPTOR));
    signal.throwIfAborted();
    const pid = Number(/"child-pid": *(\d+)/.exec(status.text())?.[1]);
    if (word !== 'ready' || !Number.isInteger(pid)) throw await notUp(started, complaint.text());
    const shared = sharedNamespaces(pid);
    if (shared.length > 0)
      throw await notUp(started, `it shares the host\u2019s namespaces: ${shared.join(', ')}`);
    const ended = started.ended.then(() => {});
    return { pid, ended, end: () => endOf(started, pid) };
  } catch (error) {
    kill(started);
    await started.ended;
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function firstWord(stream: Readable | undefined): Promise<string | null> {
  const text = await Promise.race([collect(stream, WORD_BYTES).whole, delayed(READY_TIMEOUT_MS)]);
  return text === null ? null : text.trim();
}

const OWN_NAMESPACES = ['user', 'mnt', 'pid', 'net', 'ipc', 'uts'] as const;

/** Fail closed: a bubblewrap that lies could name a process of the host, and what is done to a guest would be done to that. */
function sharedNamespaces(pid: number): readonly string[] {
  return OWN_NAMESPACES.filter((kind) => {
    try {
      return readlinkSync(`/proc/${pid}/ns/${kind}`) === readlinkSync(`/proc/self/ns/${kind}`);
    } catch {
      return true;
    }
  });
}

async function notUp(started: GuestProcess, complaint: string): Promise<SandError> {
  kill(started);
  const { signal, exitCode } = await started.ended;
  const said = complaint.trim();
  const how = signal ?? `bubblewrap ended with ${exitCode}`;
  return new SandError(
    'guest-failed',
    `the guest did not come up (${said === '' ? how : said})`,
    'run `sand doctor`: it names what keeps guests from starting here',
    { details: { complaint: said, signal } },
  );
}

/** It has been killed: what has its pid after that is another process, and no more waited for than the time allows. */
async function untilGone(pid: number): Promise<true> {
  const deadline = performance.now() + END_TIMEOUT_MS;
  while (!isZombie(pid) && performance.now() < deadline) await sleep(LOOK_AGAIN_MS);
  return true;
}

/** bubblewrap's own process takes the guest along, and its process group what it has not tied to itself; see the start. */
function kill(started: GuestProcess): void {
  started.kill('SIGKILL');
  started.finish(GO_DESCRIPTOR, '');
}

/** The first process of a PID namespace is gone only when everything in it is; see pid_namespaces(7). */
async function endOf(started: GuestProcess, pid: number): Promise<void> {
  kill(started);
  const gone = started.ended.then(() => untilGone(pid));
  if ((await Promise.race([gone, delayed(END_TIMEOUT_MS)])) === true) return;
  throw new SandError(
    'teardown-failed',
    `the guest\u2019s processes did not end within ${END_TIMEOUT_MS} ms (${started.pid})`,
    'look at that process and what it started, and end them',
  );
}
