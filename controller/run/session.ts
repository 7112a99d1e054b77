/**
 * One run from start to end: audit log, gateway, guest, command, teardown. Every step that made something is
 * undone on every way out, in reverse order, and a step that fails does not keep the next from running.
 */
import { writeFileSync } from 'node:fs';
import { AUDIT_SCHEMA_VERSION, type AuditEntry, type RunEnd } from '../../audit/event.ts';
import { type AuditLog, createAuditLog } from '../../audit/log.ts';
import { redactCommand, redactText } from '../../audit/redact.ts';
import { auditRoot, type RunPlace } from '../../audit/runs.ts';
import { type Row, Summary } from '../../audit/summary.ts';
import type { DnsUpstream } from '../../dns/context.ts';
import { formatPolicy } from '../../policies/format.ts';
import type { PolicyInForce } from '../../policies/model.ts';
import type { GuestCommand, Inspection, MountSpec, SandboxBackend, Share } from '../backends/backend.ts';
import { createControlServer } from '../control/server.ts';
import { SandError } from '../errors.ts';
import { createGateway, type Gateway } from '../gateway/gateway.ts';
import { describeParents, type ParentSettings } from '../gateway/parent-proxy.ts';
import { VERSION } from '../version.ts';
import { runCommands } from './commands.ts';
import { type Ending, endingOf, toSandError } from './ending.ts';
import { exposedCode } from './own-code.ts';
import { answerPhase, createMover } from './phases.ts';
import type { PolicyNotice, PolicyReread } from './policy-choice.ts';
import { PolicyCourse } from './policy-course.ts';
import { describeReload, watchPolicy } from './policy-watch.ts';
import { auditError, createRunDirectory } from './run-directory.ts';
import { type RunState, writeRunState } from './run-state.ts';
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
  readonly timeoutMs: number | null;
  readonly dnsPort: number;
  readonly dnsUpstreams: readonly DnsUpstream[];
  /** The proxies that this host itself needs; null: none. */
  readonly parents: ParentSettings | null;
  /** Shell texts that run in the guest before the command; the end of each, with 0, moves it into the next phase. */
  readonly before: readonly string[];
  readonly command: readonly string[];
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
  const record = (entry: AuditEntry): number => {
    const seq = log.record(entry);
    summary.add({ ...entry, seq, time: new Date().toISOString(), guest: run.id, prev: '' });
    if (entry.kind === 'notice') notices.push(entry.detail);
    return seq;
  };
  const teardown: SandError[] = [];
  const ending = await runToEnd(request, run, record, teardown);
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
  return { run, ...ending, durationMs, rows, notices, teardown };
}

async function runToEnd(
  request: SessionRequest,
  run: RunPlace,
  record: (entry: AuditEntry) => number,
  teardown: SandError[],
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
  try {
    record(runStart(request, run, course));
    for (const notice of request.notices ?? []) record({ kind: 'notice', ...notice });
    for (const detail of exposedCode(request.mounts))
      record({ kind: 'notice', code: 'own-code-writable', detail });
    writeFileSync(run.policyPath, formatPolicy(inForce.policy), { mode: 0o600 });
    requireConfinement(inForce, backend);
    const guest = await backend.create({
      name: run.id,
      mounts: request.mounts,
      workdir: request.workdir,
      environment: request.environment,
      shares: request.shares,
      authorities: request.authorities,
      cache: request.cache,
      policyFiles: [inForce.policy, ...inForce.ceilings].flatMap(({ files }) => files),
    });
    undo.push(() => backend.destroy(guest));
    const gateway = await createGateway({
      inForce: course.inForce,
      audit: { record },
      dnsPort: request.dnsPort,
      dnsUpstreams: request.dnsUpstreams,
      parents: request.parents,
      lost: (error) => {
        end('error', error);
        // Fail closed: what the link carried is gone, and a guest without it gets no time to go on.
        kill.abort();
      },
    });
    undo.push(() => gateway.close());
    tellGateway(request, gateway);
    await backend.start(guest, gateway, stop.signal);
    const guestDetails = (await backend.inspect(guest)).details;
    const tellState = () => writeRunState(run, stateOf(request, gateway, course, guestDetails));
    tellState();
    const moveOn = createMover({ course, gateway, record, moved: tellState });
    undo.push(async () => {
      for (const { code, detail } of await backend.stop(guest, STOP_GRACE_MS))
        record({ kind: 'notice', code, detail });
    });
    undo.push(asyncly(watchSessionPolicy(request, { course, gateway, record, reloaded: tellState })));
    if (course.position.phases.length > 1) {
      const control = await createControlServer(run.directory, (asked) => answerPhase(asked, course, moveOn));
      undo.push(() => control.close());
    }
    stop.signal.throwIfAborted();
    const timer = request.timeoutMs === null ? null : setTimeout(() => end('timeout'), request.timeoutMs);
    const exec = async (argv: readonly string[]): Promise<number> => {
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
      const code = await runCommands(request, { course, exec, moveOn, signal: stop.signal });
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

/**
 * A changed policy file that no guest can write is in force within a moment; one that does not parse changes
 * nothing, and is told with its line. Gives what ends the watching.
 */
function watchSessionPolicy(
  { reread, inForce, mounts }: SessionRequest,
  { course, gateway, record, reloaded }: WatchedRun,
): () => void {
  if (reread === null) return () => {};
  return watchPolicy({ inForce, reread }, mounts, async (change) => {
    const held = course.reload(change);
    if (held.ok) {
      await gateway.replacePolicy(held.inForce);
      reloaded();
    }
    const { code, detail } = describeReload(held);
    record({ kind: 'notice', code, detail });
  });
}

interface WatchedRun {
  readonly course: PolicyCourse;
  readonly gateway: Gateway;
  readonly record: (entry: AuditEntry) => number;
  readonly reloaded: () => void;
}

function stateOf(
  { backend, mounts, workdir }: SessionRequest,
  { dnsPort }: Gateway,
  { inForce, position }: PolicyCourse,
  guest: Inspection['details'],
): Omit<RunState, 'run' | 'pid' | 'pidStart'> {
  const { isolation, confinement } = backend.capabilities;
  const { phase, phases } = position;
  return {
    backend: backend.name,
    isolation,
    confinement,
    dnsPort,
    policy: inForce.policy.digest,
    ...(phase === null ? {} : { phase, phases }),
    mounts,
    workdir,
    guest,
  };
}

function runStart(request: SessionRequest, run: RunPlace, { inForce, position }: PolicyCourse): AuditEntry {
  const { policy } = inForce;
  const { phase, phases } = position;
  const { capabilities, name } = request.backend;
  return {
    kind: 'run-start',
    schema: AUDIT_SCHEMA_VERSION,
    run: run.id,
    sand: VERSION,
    node: process.version,
    backend: name,
    isolation: capabilities.isolation,
    confinement: capabilities.confinement,
    command: redactCommand(request.command),
    policy: {
      name: policy.name,
      digest: policy.digest,
      mode: policy.mode,
      layers: request.layers,
      ...(phase === null ? {} : { phases, phase }),
    },
    workdir: request.workdir,
    ...(request.before.length === 0 ? {} : { before: request.before.map(redactText) }),
  };
}

/** Fail closed: a policy that wants enforcement is not run where the guest would merely be asked. */
function requireConfinement(inForce: PolicyInForce, backend: SandboxBackend): void {
  const wanted = [inForce.policy, ...inForce.ceilings].find(
    ({ requires }) => requires.confinement === 'enforced',
  );
  if (wanted === undefined || backend.capabilities.confinement === 'enforced') return;
  throw new SandError(
    'confinement-required',
    `the policy ${wanted.name} requires enforced confinement, and the ${backend.name} backend only asks its guests`,
    'use a backend that enforces, or a policy without `requires: {confinement: enforced}`',
  );
}

function tellGateway(request: SessionRequest, gateway: Gateway): void {
  request.told(`resolver on 127.0.0.1 port ${gateway.dnsPort} (dig -p ${gateway.dnsPort} @127.0.0.1 NAME)`);
  for (const place of request.parents === null ? [] : describeParents(request.parents))
    request.told(`parent proxy ${place}`);
  request.told(`ports planted for the guest: ${gateway.ports.join(', ')}`);
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
