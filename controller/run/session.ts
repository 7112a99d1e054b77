/**
 * One run from start to end: audit log, gateway, guest, command, teardown. Every step that made something is
 * undone on every way out, in reverse order, and a step that fails does not keep the next from running.
 */
import { writeFileSync } from 'node:fs';
import { AUDIT_SCHEMA_VERSION, type AuditEntry, type RunEnd } from '../../audit/event.ts';
import { type AuditLog, createAuditLog } from '../../audit/log.ts';
import { redactCommand } from '../../audit/redact.ts';
import { auditRoot, type RunPlace } from '../../audit/runs.ts';
import { type Row, Summary } from '../../audit/summary.ts';
import { AuditUnavailable } from '../../audit/unavailable.ts';
import type { DnsUpstream } from '../../dns/context.ts';
import { formatPolicy } from '../../policies/format.ts';
import type { PolicyInForce } from '../../policies/model.ts';
import type { GuestCommand, MountSpec, SandboxBackend, Share } from '../backends/backend.ts';
import { ERROR_CODES, SandError } from '../errors.ts';
import { createGateway, type Gateway } from '../gateway/gateway.ts';
import { describeParents, type ParentSettings } from '../gateway/parent-proxy.ts';
import { VERSION } from '../version.ts';
import { exposedCode } from './own-code.ts';
import type { PolicyNotice, PolicyReread } from './policy-choice.ts';
import { describeReload, watchPolicy } from './policy-watch.ts';
import { auditError, createRunDirectory } from './run-directory.ts';
import { writeRunState } from './run-state.ts';

/** How long a command may take to end after SIGTERM. */
export const STOP_GRACE_MS = 10_000;
/**
 * A command may outlive the signals that ask it to end, as in a plain shell; the caller who sends this many
 * means it, and the guest is ended by force.
 */
export const FORCE_AFTER_SIGNALS = 3;
const ENDING_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

export interface SessionRequest {
  readonly backend: SandboxBackend;
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

interface Ending {
  readonly exitCode: number;
  readonly cause: RunEnd['cause'];
  readonly error: SandError | null;
}

async function runToEnd(
  request: SessionRequest,
  run: RunPlace,
  record: (entry: AuditEntry) => number,
  teardown: SandError[],
  broken: AbortSignal,
): Promise<Ending> {
  const { backend, inForce } = request;
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
    record(runStart(request, run));
    for (const notice of request.notices ?? []) record({ kind: 'notice', ...notice });
    for (const detail of exposedCode(request.mounts))
      record({ kind: 'notice', code: 'own-code-writable', detail });
    writeBeside(run, () => writeFileSync(run.policyPath, formatPolicy(inForce.policy), { mode: 0o600 }));
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
      inForce,
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
    const { details } = await backend.inspect(guest);
    writeBeside(run, () =>
      writeRunState(run, {
        backend: backend.name,
        isolation: backend.capabilities.isolation,
        confinement: backend.capabilities.confinement,
        dnsPort: gateway.dnsPort,
        policy: inForce.policy.digest,
        mounts: request.mounts,
        workdir: request.workdir,
        guest: details,
      }),
    );
    undo.push(async () => {
      for (const { code, detail } of await backend.stop(guest, STOP_GRACE_MS))
        record({ kind: 'notice', code, detail });
    });
    undo.push(asyncly(watchSessionPolicy(request, gateway, record)));
    stop.signal.throwIfAborted();
    const timer = request.timeoutMs === null ? null : setTimeout(() => end('timeout'), request.timeoutMs);
    try {
      const status = await backend.exec(guest, {
        argv: request.command,
        stdio: request.stdio,
        terminal: request.terminal,
        ...(request.output === undefined ? {} : { output: request.output }),
        started: signals.started,
        signal: stop.signal,
        graceMs: STOP_GRACE_MS,
        kill: kill.signal,
      });
      return endingOf(status.code, cause, stop.signal.reason);
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
  request: SessionRequest,
  gateway: Gateway,
  record: (entry: AuditEntry) => number,
): () => void {
  const { reread, inForce, mounts } = request;
  if (reread === null) return () => {};
  return watchPolicy({ inForce, reread }, mounts, async (change) => {
    if (change.ok) await gateway.replacePolicy(change.inForce);
    const { code, detail } = describeReload(change);
    record({ kind: 'notice', code, detail });
  });
}

/** The first failure of the log aborts `broken` with it. */
function recordOrAbort(log: AuditLog, entry: AuditEntry, broken: AbortController): number {
  try {
    return log.record(entry);
  } catch (error) {
    broken.abort(error);
    throw error;
  }
}

/** Once the log has failed, so does every step that records: that is told once. */
function withoutRepeats(teardown: readonly SandError[], error: SandError | null): readonly SandError[] {
  const first = [error, ...teardown].find((failure) => failure?.code === 'audit-unavailable');
  return teardown.filter((failure) => failure.code !== 'audit-unavailable' || failure === first);
}

/** What lies beside the log fails as the log does: raises `audit-unavailable` where the system refuses. */
function writeBeside(run: RunPlace, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw error instanceof Error && 'syscall' in error ? auditError(error, run.directory) : error;
  }
}

/** Before a command runs, a signal ends the run; then it is the command's, until there were too many. */
function createSignalRelay(on: {
  readonly early: (signal: NodeJS.Signals) => void;
  readonly force: () => void;
}) {
  let command: { forward(signal: NodeJS.Signals): void } | null = null;
  let asked = 0;
  return {
    started: (running: { forward(signal: NodeJS.Signals): void }) => {
      command = running;
    },
    receive: (signal: NodeJS.Signals, shared: boolean) => {
      if (command === null) return on.early(signal);
      if (shared) return;
      command.forward(signal);
      if (ENDING_SIGNALS.includes(signal)) asked += 1;
      if (asked >= FORCE_AFTER_SIGNALS) on.force();
    },
  };
}

function endingOf(code: number, cause: RunEnd['cause'], reason: unknown): Ending {
  switch (cause) {
    case 'timeout':
      return { exitCode: 124, cause, error: null };
    case 'signal':
      return { exitCode: 128 + signalNumber(reason), cause, error: null };
    case 'error':
    case 'probe': {
      const error = toSandError(reason);
      return {
        exitCode: ERROR_CODES[error.code].exit,
        cause: error.code === 'probe-failed' ? 'probe' : 'error',
        error,
      };
    }
    case 'exit':
      return { exitCode: code, cause: code > 128 && code < 160 ? 'signal' : 'exit', error: null };
  }
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 };

function signalNumber(reason: unknown): number {
  return SIGNAL_NUMBERS[String(reason)] ?? 15;
}

function runStart(request: SessionRequest, run: RunPlace): AuditEntry {
  const { policy } = request.inForce;
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
    policy: { name: policy.name, digest: policy.digest, mode: policy.mode, layers: request.layers },
    workdir: request.workdir,
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

export function toSandError(error: unknown): SandError {
  if (error instanceof SandError) return error;
  if (error instanceof AuditUnavailable) {
    const hint = 'nothing is allowed without a log: free space or mend the folder, then run again';
    return new SandError('audit-unavailable', error.message, hint, { cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new SandError('internal', message, 'report this as a fault of sand, with --verbose output', {
    cause: error,
  });
}

function asyncly(step: () => void): () => Promise<void> {
  return async () => step();
}
