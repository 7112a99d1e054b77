/**
 * One run from start to end: audit log, gateway, guest, command, teardown. Every step that made something is
 * undone on every way out, in reverse order, and a step that fails does not keep the next from running.
 */
import { writeFileSync } from 'node:fs';
import type { AuditEntry, RunEnd } from '../../audit/event.ts';
import { type AuditLog, createAuditLog } from '../../audit/log.ts';
import { auditRoot, type RunPlace } from '../../audit/runs.ts';
import { type Row, Summary } from '../../audit/summary.ts';
import type { DnsUpstream } from '../../dns/context.ts';
import { formatPolicy } from '../../policies/format.ts';
import type { PolicyInForce } from '../../policies/model.ts';
import type { AskBroker } from '../ask/broker.ts';
import { ASKED_LOOKUP_SECONDS } from '../ask/limits.ts';
import type { GuestCommand, GuestRef, MountSpec, SandboxBackend, Share } from '../backends/backend.ts';
import { createControlServer } from '../control/server.ts';
import type { SandError } from '../errors.ts';
import { createGateway, type Gateway } from '../gateway/gateway.ts';
import type { ParentSettings } from '../gateway/parent-proxy.ts';
import { type AskSettings, createBroker } from './asking.ts';
import { runCommands } from './commands.ts';
import { planControls } from './controls.ts';
import { type Ending, endingOf, toSandError } from './ending.ts';
import { recordOrAbort, withoutRepeats, writeBeside } from './log-failure.ts';
import { exposedCode } from './own-code.ts';
import { createMover, type Mover } from './phases.ts';
import type { PolicyNotice, PolicyReread } from './policy-choice.ts';
import { PolicyCourse } from './policy-course.ts';
import { describeReload, watchPolicy } from './policy-watch.ts';
import type { PortFlag } from './port-flag.ts';
import { auditError, createRunDirectory } from './run-directory.ts';
import { requireConfinement, requireWayIn, runStart, stateOf, tellGateway } from './run-facts.ts';
import { writeRunState } from './run-state.ts';
import type { Secret } from './secret-reading.ts';
import { createSignalRelay } from './signal-relay.ts';

/** How long a command may take to end after SIGTERM. */
export const STOP_GRACE_MS = 10_000;
export interface SessionRequest {
  readonly backend: SandboxBackend;
  /** With all its phases; the guest begins in the first. */
  readonly inForce: PolicyInForce;
  /** Reads the policy's files again; null where they are read once. */
  readonly reread: (() => PolicyReread) | null;
  /** Where each layer of the policy came from, for the header of the log. */
  readonly layers: readonly string[];
  /** What is to be told of the policy. */
  readonly notices?: readonly PolicyNotice[];
  readonly mounts: readonly MountSpec[];
  readonly workdir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly shares: readonly Share[];
  /** PEM text of each. */
  readonly authorities: readonly string[];
  readonly cache: string | null;
  /** Ports of the guest that the host reaches; absent: none. */
  readonly ports?: readonly PortFlag[];
  /** Files for the guest; absent: none. */
  readonly secrets?: readonly Secret[];
  readonly timeoutMs: number | null;
  readonly dnsPort: number;
  readonly dnsUpstreams: readonly DnsUpstream[];
  /** The proxies that this host itself needs; null: none. */
  readonly parents: ParentSettings | null;
  /** Shell texts that run in the guest before the command; the end of each, with 0, moves it into the next phase. */
  readonly before: readonly string[];
  readonly command: readonly string[];
  /** Who is asked about what no rule decides; null: nobody. */
  readonly ask: AskSettings | null;
  readonly stdio: GuestCommand['stdio'];
  readonly terminal: boolean;
  readonly output?: GuestCommand['output'];
  /** Signals of the caller, to be passed on to the command. */
  readonly signals: SignalSource;
  readonly environ: Readonly<Record<string, string | undefined>>;
  /** Told as things happen, for `--verbose`. */
  readonly told: (message: string) => void;
}

export interface SignalSource {
  /** `shared`: the terminal gives that signal to a running command by itself. Gives what ends the listening. */
  listen(receive: (signal: NodeJS.Signals, shared: boolean) => void): () => void;
}

export interface SessionResult {
  readonly run: RunPlace;
  readonly exitCode: number;
  readonly cause: RunEnd['cause'];
  readonly durationMs: number;
  readonly rows: readonly Row[];
  readonly notices: readonly string[];
  /** What went wrong in sand, if anything; the command's own failure is an exit code. */
  readonly error: SandError | null;
  /** Steps of the teardown that failed. */
  readonly teardown: readonly SandError[];
}

export async function runSession(request: SessionRequest): Promise<SessionResult> {
  const startedAt = performance.now();
  const run = createRunDirectory(auditRoot(request.environ));
  const log = openLog(run);
  const summary = new Summary();
  const notices: string[] = [];
  const broken = new AbortController();
  const record = (entry: AuditEntry): number => {
    const seq = recordOrAbort(log, entry, broken);
    summary.add({ ...entry, seq, time: new Date().toISOString(), guest: run.id, prev: '' });
    if (entry.kind === 'notice') notices.push(entry.detail);
    return seq;
  };
  const teardown: SandError[] = [];
  const ending = await runToEnd(request, run, record, teardown, broken.signal);
  const durationMs = Math.round(performance.now() - startedAt);
  try {
    record({
      kind: 'run-end',
      exitCode: ending.exitCode,
      cause: ending.cause,
      durationMs,
      events: log.events,
    });
    log.close();
  } catch (error) {
    teardown.push(toSandError(error));
  }
  const { rows } = summary.rows();
  return { run, ...ending, durationMs, rows, notices, teardown: withoutRepeats(teardown, ending.error) };
}

async function runToEnd(
  request: SessionRequest,
  run: RunPlace,
  record: (entry: AuditEntry) => number,
  teardown: SandError[],
  broken: AbortSignal,
): Promise<Ending> {
  const { backend, inForce } = request;
  const course = new PolicyCourse(inForce);
  const stop = new AbortController();
  const undo: (() => Promise<void>)[] = [];
  let cause: RunEnd['cause'] = 'exit';
  const end = (why: RunEnd['cause'], reason?: unknown) => {
    if (!stop.signal.aborted) cause = why;
    stop.abort(reason);
  };
  const kill = new AbortController();
  const signals = createSignalRelay({ early: (signal) => end('signal', signal), force: () => kill.abort() });
  undo.push(asyncly(request.signals.listen(signals.receive)));
  // Fail closed: a guest whose deeds cannot be recorded is ended, though its gateway refuses everything already.
  broken.addEventListener('abort', () => end('error', broken.reason), { once: true });
  try {
    record(runStart(request, run, course));
    for (const notice of request.notices ?? []) record({ kind: 'notice', ...notice });
    for (const detail of exposedCode(request.mounts))
      record({ kind: 'notice', code: 'own-code-writable', detail });
    writeBeside(run, () => writeFileSync(run.policyPath, formatPolicy(inForce.policy), { mode: 0o600 }));
    requireConfinement(inForce, backend);
    requireWayIn(request);
    let running = request.command;
    const broker =
      request.ask === null
        ? null
        : createBroker(request.ask, {
            course,
            record,
            command: () => running,
            hostAddresses: () => gateway.hostAddresses(),
            enforce: (next) => supervised.enforce(next),
          });
    const guest = await backend.create({
      name: run.id,
      mounts: request.mounts,
      workdir: request.workdir,
      environment: request.environment,
      shares: request.shares,
      authorities: request.authorities,
      cache: request.cache,
      secrets: request.secrets ?? [],
      ...(broker === null ? {} : { lookupSeconds: ASKED_LOOKUP_SECONDS }),
      policyFiles: [inForce.policy, ...inForce.ceilings].flatMap(({ files }) => files),
    });
    undo.push(() => backend.destroy(guest));
    const gateway = await createGateway({
      inForce: course.inForce,
      audit: { record },
      dnsPort: request.dnsPort,
      dnsUpstreams: request.dnsUpstreams,
      parents: request.parents,
      ask: broker?.ask ?? null,
      publish: request.ports ?? [],
      lost: (error) => {
        end('error', error);
        // Fail closed: what the link carried is gone, and a guest without it gets no time to go on.
        kill.abort();
      },
    });
    undo.push(() => gateway.close());
    tellGateway(request, gateway);
    await backend.start(guest, gateway, stop.signal);
    const supervised = await superviseGuest(request, { run, guest, gateway, course, broker, record, undo });
    stop.signal.throwIfAborted();
    const timer = request.timeoutMs === null ? null : setTimeout(() => end('timeout'), request.timeoutMs);
    const exec = async (argv: readonly string[]): Promise<number> => {
      running = argv;
      const status = await backend.exec(guest, {
        argv,
        stdio: request.stdio,
        terminal: request.terminal,
        ...(request.output === undefined ? {} : { output: request.output }),
        started: signals.started,
        signal: stop.signal,
        graceMs: STOP_GRACE_MS,
        kill: kill.signal,
      });
      signals.ended();
      return status.code;
    };
    try {
      const code = await runCommands(request, {
        course,
        exec,
        moveOn: supervised.moveOn,
        signal: stop.signal,
      });
      return endingOf(code, cause, stop.signal.reason);
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  } catch (error) {
    const failure = stop.signal.aborted && cause !== 'exit' ? stop.signal.reason : error;
    return endingOf(125, cause === 'exit' ? 'error' : cause, failure);
  } finally {
    for (const step of undo.reverse())
      await step().catch((error: unknown) => teardown.push(toSandError(error)));
  }
}

interface SupervisedGuest {
  readonly run: RunPlace;
  readonly guest: GuestRef;
  readonly gateway: Gateway;
  readonly course: PolicyCourse;
  readonly broker: AskBroker | null;
  readonly record: (entry: AuditEntry) => number;
  /** Gets what undoes each step. */
  readonly undo: (() => Promise<void>)[];
}

/** A guest has started: from here on its state is told, its policy follows its file, and people reach the run. */
async function superviseGuest(
  request: SessionRequest,
  supervised: SupervisedGuest,
): Promise<{ readonly moveOn: Mover; readonly enforce: (next: PolicyInForce) => Promise<void> }> {
  const { backend } = request;
  const { run, guest, gateway, course, broker, record, undo } = supervised;
  const guestDetails = (await backend.inspect(guest)).details;
  const tellState = () =>
    writeBeside(run, () => writeRunState(run, stateOf(request, gateway, course, guestDetails)));
  tellState();
  const enforce = async (next: PolicyInForce) => {
    await gateway.replacePolicy(next);
    broker?.policyChanged();
    tellState();
  };
  const begin = async (next: PolicyInForce) => {
    broker?.forget();
    await enforce(next);
  };
  const moveOn = createMover({ course, enforce: begin, record });
  undo.push(async () => {
    for (const { code, detail } of await backend.stop(guest, STOP_GRACE_MS))
      record({ kind: 'notice', code, detail });
  });
  undo.push(asyncly(watchSessionPolicy(request, { course, record, enforce })));
  const controls = planControls({ course, moveOn, broker });
  if (controls !== null) {
    const control = await createControlServer(run.directory, controls);
    undo.push(() => control.close());
  }
  if (broker !== null) {
    undo.push(asyncly(() => broker.close()));
    undo.push(asyncly(request.ask?.front(broker, run) ?? (() => {})));
  }
  return { moveOn, enforce };
}

/**
 * A changed policy file that no guest can write is in force within a moment; one that does not parse changes
 * nothing, and is told with its line. Gives what ends the watching.
 */
function watchSessionPolicy(
  { reread, inForce, mounts }: SessionRequest,
  { course, enforce, record }: WatchedRun,
): () => void {
  if (reread === null) return () => {};
  return watchPolicy({ inForce, reread }, mounts, async (change) => {
    const held = course.reload(change);
    if (held.ok) await enforce(held.inForce);
    const { code, detail } = describeReload(held);
    record({ kind: 'notice', code, detail });
  });
}

interface WatchedRun {
  readonly course: PolicyCourse;
  readonly record: (entry: AuditEntry) => number;
  readonly enforce: (next: PolicyInForce) => Promise<void>;
}

function openLog(run: RunPlace): AuditLog {
  try {
    return createAuditLog({ path: run.auditPath, guest: run.id, clock: Date.now });
  } catch (error) {
    throw auditError(error, run.directory);
  }
}

function asyncly(step: () => void): () => Promise<void> {
  return async () => step();
}
