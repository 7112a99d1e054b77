/**
 * Starts the machine of a VM guest inside the guest's sandbox, and speaks with it: gathers what it boots, waits until
 * commands can run in it, has it tell what it sees, and asks what runs in it to end. Who runs a command in the
 * sandbox, and ends the sandbox with everything in it, is the backend.
 */
import { randomUUID } from 'node:crypto';
import { availableParallelism, release, totalmem } from 'node:os';
import type { ProbeResult } from '../../../../audit/event.ts';
import { SandError } from '../../../errors.ts';
import type { ProbePlan } from '../../../links/probing.ts';
import type { ExitStatus, GuestCommand } from '../../backend.ts';
import type { GuestIdentity, Mount } from '../mounts.ts';
import type { Architecture } from '../seccomp.ts';
import { chooseAcceleration, systemAcceleration } from './acceleration.ts';
import { COMMAND_BYTES, planAccess, planEnding, planReport, planSweep } from './access.ts';
import { encodeArchive } from './cpio.ts';
import { planInitramfs, SYSTEM_FOLDER } from './initramfs.ts';
import { kernelCache, readModules } from './kernels.ts';
import { createKeyPair } from './keys.ts';
import {
  type Acceleration,
  HOLDER_LINES,
  MACHINE_CAPABILITIES,
  planHolder,
  planMachineMounts,
} from './machine.ts';
import { findParts, missingParts } from './parts.ts';
import { formatPlan, judgeMachine, parseMachineReport } from './report.ts';

/** On KVM a second; emulated three, and under heavy load some tens. */
const BOOT_TIMEOUT_MS = 180_000;
/** The longest probe is bounded by ten seconds in the machine, and there are many at a time. */
const REPORT_TIMEOUT_MS = 60_000;
/** What an ending may take beyond its grace: a command in a loaded machine. */
const ENDING_SLACK_MS = 15_000;
/** Of ending what a command left: as long as nobody wants to wait for. */
const SWEEP_TIMEOUT_MS = 5_000;
/** What is kept of the console's end, for the error. */
const CONSOLE_BYTES = 8_192;
const REPORT_BYTES = 256 * 1024;

/** Memory is taken when the machine first uses it; it gives none back. */
const USUAL_MEMORY_MIB = 2048;
/** A third of the host's, where that is less. */
const MEMORY_SHARE = 3;
/** An emulated second one costs more than it brings. */
const USUAL_PROCESSORS: Readonly<Record<Acceleration, number>> = { kvm: 4, tcg: 1 };
const MIB = 1024 * 1024;

/** The folders of Debian's programs, for what runs in the sandbox beside the guest's commands. */
const SANDBOX_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

export interface MachineRequest {
  readonly architecture: Architecture;
  readonly identity: GuestIdentity;
  readonly environment: Readonly<Record<string, string>>;
  /** The guest's, without the machine's own. */
  readonly mounts: readonly Mount[];
  /** Of the guest, that the host reaches. */
  readonly publishedPorts: readonly number[];
  /** Null: as `USUAL_…` say. */
  readonly memoryMiB: number | null;
  readonly processors: number | null;
}

export interface MachinePlan {
  readonly kernel: string;
  readonly acceleration: Acceleration;
  readonly identity: GuestIdentity;
  /** To stand behind all other mounts of the guest. */
  readonly mounts: readonly Mount[];
  /** The command that is the machine. */
  readonly holder: readonly string[];
}

/** Runs a command in the guest's sandbox, with capabilities that count there alone. */
export type SandboxRunner = (command: GuestCommand, capabilities: readonly string[]) => Promise<ExitStatus>;

export interface Machine {
  /** Resolves when the machine has ended, with the end of what its console said; never rejects. */
  readonly ended: Promise<string>;
  /** What was looked at from inside. */
  probe(plan: ProbePlan, expected: MachineProbeExpectations): Promise<readonly ProbeResult[]>;
  /** SIGTERM to the guest's processes in it, and time to end. Never rejects. */
  askToEnd(graceMs: number): Promise<void>;
}

export interface MachineProbeExpectations {
  readonly greeting: string;
  readonly isSynthetic: (address: string) => boolean;
}

/** Raises `backend-unavailable` with what is missing. */
export async function planMachine(request: MachineRequest): Promise<MachinePlan> {
  const cache = kernelCache(process.env);
  const parts = findParts(request.architecture, cache);
  const { kernel, busybox, virtiofsd } = parts;
  const missing = missingParts(parts);
  if (kernel === null || busybox === null || virtiofsd === null || missing.length > 0) {
    throw new SandError(
      'backend-unavailable',
      `a VM guest cannot run here without ${missing.map(({ what }) => what).join(', ')}`,
      missing.map(({ remedy }) => remedy).join('; '),
    );
  }
  const sharesSystem = request.mounts.some(
    (mount) => mount.kind === 'bind' && mount.target === SYSTEM_FOLDER && !mount.writable,
  );
  const host = systemAcceleration(request.architecture, kernel, busybox, cache);
  const acceleration = await chooseAcceleration(host);
  const server = createKeyPair();
  const client = createKeyPair();
  const archive = planInitramfs({
    busybox,
    modules: readModules(kernel),
    identity: request.identity,
    environment: request.environment,
    serverKey: server.privateKey,
    clientPublicLine: client.publicLine,
    sharesSystem,
  });
  const files = {
    kernel: kernel.image,
    initramfs: encodeArchive(archive),
    clientKey: client.privateKey,
    serverPublicLine: server.publicLine,
  };
  const holder = planHolder({
    architecture: request.architecture,
    acceleration,
    virtiofsd,
    sharesSystem,
    publishedPorts: request.publishedPorts,
    processors: request.processors ?? Math.min(USUAL_PROCESSORS[acceleration], availableParallelism()),
    memoryMiB: request.memoryMiB ?? Math.min(USUAL_MEMORY_MIB, Math.floor(totalmem() / MIB / MEMORY_SHARE)),
  });
  const mounts = planMachineMounts(files, acceleration);
  return { kernel: kernel.release, acceleration, identity: request.identity, mounts, holder };
}

/** Resolves when commands can run in it. Raises `guest-failed` with the console's end; an abort ends it. */
export async function startMachine(
  plan: MachinePlan,
  run: SandboxRunner,
  signal: AbortSignal,
): Promise<Machine> {
  const console = createTail(CONSOLE_BYTES);
  const connected = Promise.withResolvers<boolean>();
  // Its own, since what stops the guest's commands gives them a grace, and the machine has to outlive that.
  const holding = new AbortController();
  const abort = () => holding.abort();
  signal.addEventListener('abort', abort, { once: true });
  const ending = run(
    {
      ...plainCommand(plan.holder, holding.signal),
      output(_, chunk) {
        console.add(chunk);
        const said = console.text();
        if (said.includes(HOLDER_LINES.connected)) connected.resolve(true);
        if (said.includes(HOLDER_LINES.failed)) connected.resolve(false);
        return undefined;
      },
    },
    MACHINE_CAPABILITIES,
  );
  const ended = ending.then(
    () => console.text(),
    (error: unknown) => `${console.text()}\n${error instanceof Error ? error.message : error}`,
  );
  const timer = setTimeout(() => connected.resolve(false), BOOT_TIMEOUT_MS);
  const isUp = await Promise.race([connected.promise, ended.then(() => false)]);
  clearTimeout(timer);
  signal.removeEventListener('abort', abort);
  if (!isUp || signal.aborted) {
    holding.abort();
    await ended;
    signal.throwIfAborted();
    throw notUp(console.text());
  }
  return {
    ended,
    probe: (probes, expected) => probeMachine(plan, run, probes, expected, signal),
    async askToEnd(graceMs) {
      const bound = AbortSignal.timeout(graceMs + ENDING_SLACK_MS);
      await run(plainCommand(planEnding(graceMs / 1000), bound), []).catch(() => {});
    },
  };
}

/** A command for the machine as one for its sandbox. Raises `usage` where it is too long to hand over. */
export function accessMachine(id: string, workdir: string, command: GuestCommand): GuestCommand {
  const argv = planAccess({
    id,
    argv: command.argv,
    workdir: command.workdir ?? workdir,
    environment: command.environment ?? {},
  });
  if (argv === null) {
    throw new SandError(
      'usage',
      `the command is longer than ${COMMAND_BYTES} bytes, which is all that a VM guest takes`,
      'put it into a script in the working directory, and run that',
    );
  }
  const environment = { PATH: SANDBOX_PATH, TERM: process.env.TERM ?? 'dumb' };
  return { ...command, argv, environment, workdir: '/' };
}

/**
 * Runs a command in a machine that goes on afterwards: what one that was ended from here leaves there is ended too, since
 * the end of a client without a terminal ends nothing.
 */
export async function runInMachine(
  workdir: string,
  command: GuestCommand,
  run: (access: GuestCommand) => Promise<ExitStatus>,
): Promise<ExitStatus> {
  const id = randomUUID();
  try {
    return await run(accessMachine(id, workdir, command));
  } finally {
    if (command.kill.aborted || command.signal.aborted) {
      await run(plainCommand(planSweep(id), AbortSignal.timeout(SWEEP_TIMEOUT_MS))).catch(() => {});
    }
  }
}

async function probeMachine(
  plan: MachinePlan,
  run: SandboxRunner,
  probes: ProbePlan,
  expected: MachineProbeExpectations,
  signal: AbortSignal,
): Promise<readonly ProbeResult[]> {
  const said = createTail(REPORT_BYTES);
  const bound = AbortSignal.any([signal, AbortSignal.timeout(REPORT_TIMEOUT_MS)]);
  const command = plainCommand(planReport(formatPlan(probes)), bound);
  await run({ ...command, output: (stream, chunk) => void (stream === 'stdout' && said.add(chunk)) }, []);
  signal.throwIfAborted();
  const { kernel, identity } = plan;
  return judgeMachine(parseMachineReport(said.text()), {
    ...expected,
    plan: probes,
    kernel,
    hostKernel: release(),
    identity,
  });
}

function plainCommand(argv: readonly string[], signal: AbortSignal): GuestCommand {
  return {
    argv,
    environment: { PATH: SANDBOX_PATH },
    workdir: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    output: () => undefined,
    terminal: false,
    admit: () => {},
    signal,
    graceMs: 0,
    kill: signal,
  };
}

/** Keeps the last of what was said. */
function createTail(bytes: number) {
  let text = '';
  return {
    add(chunk: Buffer) {
      text = (text + chunk.toString('latin1')).slice(-bytes);
    },
    text: () => text,
  };
}

function notUp(console: string): SandError {
  const last = console.trim().split('\n').pop() ?? '';
  return new SandError(
    'guest-failed',
    `the guest\u2019s machine did not come up (${last.trim() || 'its console said nothing'})`,
    'run `sand doctor`, and see what its console said in the details of `--json`',
    { details: { console } },
  );
}
