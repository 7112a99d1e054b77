/**
 * One run from start to end: audit log, gateway, guest, command, teardown. Every step that made something is
 * undone on every way out, in reverse order, and a step that fails does not keep the next from running.
 */
import { rmdirSync, writeFileSync } from 'node:fs';
import type { AuditEntry, RunEnd } from '../../audit/event.ts';
import { type AuditLog, createAuditLog } from '../../audit/log.ts';
import { auditRoot, type RunPlace } from '../../audit/runs.ts';
import { type Row, Summary } from '../../audit/summary.ts';
import type { DnsUpstream } from '../../dns/context.ts';
import { formatPolicy } from '../../policies/format.ts';
import type { PolicyInForce } from '../../policies/model.ts';
import type { AskBroker } from '../ask/broker.ts';
import { ASKED_LOOKUP_SECONDS } from '../ask/limits.ts';
import type {
  GuestCommand,
  GuestRef,
  GuestSpec,
  GuestUser,
  MountSpec,
  SandboxBackend,
  Share,
  StartedGuest,
} from '../backends/backend.ts';
import { createControlServer } from '../control/server.ts';
import { SandError } from '../errors.ts';
import { createGateway, type Gateway } from '../gateway/gateway.ts';
import type { ParentSettings } from '../gateway/parent-proxy.ts';
import { createJournal, guestFolder, type Journal, removeJournalled } from '../guests/journal.ts';
import type { GuestName } from '../guests/name.ts';
import { createOutputLog } from '../guests/output.ts';
import { type GuestRecord, registerGuest, releaseGuest } from '../guests/registry.ts';
import { type AskSettings, createBroker } from './asking.ts';
import { runCommands } from './commands.ts';
import { createControls } from './controls.ts';
import { type Ending, endingOf, toSandError } from './ending.ts';
import { recordOrAbort, withoutRepeats, writeBeside } from './log-failure.ts';
import { exposedCode } from './own-code.ts';
import { createMover, type Mover } from './phases.ts';
import type { PolicyChoice, PolicyNotice, PolicyReread } from './policy-choice.ts';
import { PolicyCourse } from './policy-course.ts';
import { describeReload, watchPolicy } from './policy-watch.ts';
import { auditError, createRunDirectory } from './run-directory.ts';
import { requireConfinement, runStart, tellGateway } from './run-facts.ts';
import { createSignalRelay } from './signal-relay.ts';
import { createStateTeller, type StateTeller } from './state-teller.ts';
import { createWayOut } from './way-out.ts';

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
  /** Who the guest is in its own eyes; null: the backend's choice. */
  readonly user: GuestUser | null;
  readonly timeoutMs: number | null;
  readonly dnsPort: number;
  readonly dnsUpstreams: readonly DnsUpstream[];
  /** The proxies that this host itself needs; null: none. */
  readonly parents: ParentSettings | null;
  /** What people call the guest; null: the run's id. */
  readonly name: GuestName | null;
  /** Of a guest in the background: told once, when commands can run in it; its output is kept beside the log. Null: in the foreground. */
  readonly ready: ((guest: GuestRecord) => void) | null;
  /** The policy that these names mean, as with `--policy`. */
  readonly choosePolicy: (policies: readonly string[]) => Promise<PolicyChoice>;
  /** Shell texts that run in the guest before the command; the end of each, with 0, moves it into the next phase. */
  readonly before: readonly string[];
  /** None: the guest is held until somebody ends it. */
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
  const runs = auditRoot(request.environ);
  const run = createRunDirectory(runs);
  const guest = register(runs, run, request.name);
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
  const course = new PolicyCourse(request.inForce);
  const state = createStateTeller(request, guest, course);
  const ending = await runToEnd(request, { guest, course, record, state, broken: broken.signal }, teardown);
  const durationMs = Math.round(performance.now() - startedAt);
  for (const left of removeJournalled(run)) teardown.push(leftBehind(left));
  try {
    record({
      kind: 'run-end',
      exitCode: ending.exitCode,
      cause: ending.cause,
      durationMs,
      events: log.events,
    });
    log.close();
    state.ended(ending);
    if (request.ready === null) releaseGuest(runs, guest);
  } catch (error) {
    teardown.push(toSandError(error));
  }
  const { rows } = summary.rows();
  return { run, ...ending, durationMs, rows, notices, teardown: withoutRepeats(teardown, ending.error) };
}

interface Session {
  readonly guest: GuestRecord;
  readonly course: PolicyCourse;
  readonly record: (entry: AuditEntry) => number;
  readonly state: StateTeller;
  /** Aborted when the log cannot be written any more. */
  readonly broken: AbortSignal;
}

async function runToEnd(request: SessionRequest, session: Session, teardown: SandError[]): Promise<Ending> {
  const { backend, inForce } = request;
  const { course, record, broken } = session;
  const { run } = session.guest;
  const undo: (() => Promise<void>)[] = [];
  const way = createWayOut();
  const signals = createSignalRelay({ early: (signal) => way.end('signal', signal), force: way.kill });
  undo.push(asyncly(request.signals.listen(signals.receive)));
  // Fail closed: a guest whose deeds cannot be recorded is ended, though its gateway refuses everything already.
  broken.addEventListener('abort', () => way.end('error', broken.reason), { once: true });
  try {
    record(runStart(request, session.guest, course));
    for (const notice of request.notices ?? []) record({ kind: 'notice', ...notice });
    for (const detail of exposedCode(request.mounts))
      record({ kind: 'notice', code: 'own-code-writable', detail });
    keepPolicy(run, inForce);
    writeBeside(run, session.state.begun);
    requireConfinement(inForce, backend);
    const journal = createJournal(run);
    undo.push(asyncly(journal.close));
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
    const created = await backend.create(specOf(request, session, journal, broker !== null));
    undo.push(() => backend.destroy(created));
    const gateway = await createGateway({
      inForce: course.inForce,
      audit: { record },
      dnsPort: request.dnsPort,
      dnsUpstreams: request.dnsUpstreams,
      parents: request.parents,
      ask: broker?.ask ?? null,
      lost: (error) => {
        way.end('error', error);
        // Fail closed: what the link carried is gone, and a guest without it gets no time to go on.
        way.kill();
      },
    });
    undo.push(() => gateway.close());
    tellGateway(request, gateway);
    const started = await backend.start(created, gateway, way.signal);
    const supervised = await superviseGuest(request, {
      ...session,
      started,
      gateway,
      broker,
      undo,
      stop: (graceMs) => way.end('stop', null, graceMs),
      graceMs: way.graceLeftMs,
    });
    way.signal.throwIfAborted();
    const timer = request.timeoutMs === null ? null : setTimeout(() => way.end('timeout'), request.timeoutMs);
    const output = outputOf(request, session, undo);
    const exec = async (argv: readonly string[]): Promise<number> => {
      running = argv;
      const status = await backend.exec(started, {
        argv,
        stdio: request.stdio,
        terminal: request.terminal,
        admit: (results) => {
          for (const result of results) record(result);
        },
        ...(output === undefined ? {} : { output }),
        started: signals.started,
        signal: way.signal,
        get graceMs() {
          return way.graceLeftMs();
        },
        kill: way.killed,
      });
      signals.ended();
      return status.code;
    };
    try {
      if (request.ready !== null) await confirmed(started.confined, way.signal);
      session.state.running();
      request.ready?.(session.guest);
      const code = await runCommands(request, {
        course,
        exec,
        moveOn: supervised.moveOn,
        signal: way.signal,
      });
      return endingOf(code, way.cause(), way.signal.reason);
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  } catch (error) {
    const cause = way.cause();
    const failure = way.signal.aborted && cause !== 'exit' ? way.signal.reason : error;
    return endingOf(cause === 'stop' ? 0 : 125, cause === 'exit' ? 'error' : cause, failure);
  } finally {
    for (const step of undo.reverse())
      await step().catch((error: unknown) => teardown.push(toSandError(error)));
  }
}

/** The start probes, or the end. */
async function confirmed(confined: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await Promise.race([confined, ended]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function specOf(request: SessionRequest, { guest }: Session, journal: Journal, isAsked: boolean): GuestSpec {
  const { inForce } = request;
  return {
    name: guest.run.id,
    mounts: request.mounts,
    workdir: request.workdir,
    environment: request.environment,
    shares: request.shares,
    authorities: request.authorities,
    cache: request.cache,
    ...(request.user === null ? {} : { user: request.user }),
    ...(isAsked ? { lookupSeconds: ASKED_LOOKUP_SECONDS } : {}),
    policyFiles: [inForce.policy, ...inForce.ceilings].flatMap(({ files }) => files),
    place: { folder: guestFolder(guest.run), note: journal.note },
  };
}

/** In the background, what the commands print is kept. */
function outputOf(
  request: SessionRequest,
  { guest, record }: Session,
  undo: (() => Promise<void>)[],
): GuestCommand['output'] {
  if (request.ready === null) return request.output;
  const log = createOutputLog(guest.run);
  undo.push(asyncly(log.close));
  return (stream, chunk) => {
    const failure = log.write(stream, chunk);
    if (failure !== null)
      record({
        kind: 'notice',
        code: 'output-lost',
        detail: `the guest\u2019s output is not kept any more: ${failure}`,
      });
    return undefined;
  };
}

interface SupervisedGuest extends Session {
  readonly started: GuestRef & StartedGuest;
  readonly gateway: Gateway;
  readonly broker: AskBroker | null;
  /** Gets what undoes each step. */
  readonly undo: (() => Promise<void>)[];
  readonly stop: (graceMs: number) => void;
  /** What is left to whatever runs in the guest when it is ended. */
  readonly graceMs: () => number;
}

/** A guest has started: from here on its state is told, its policy follows its file, and people reach the run. */
async function superviseGuest(
  request: SessionRequest,
  supervised: SupervisedGuest,
): Promise<{ readonly moveOn: Mover; readonly enforce: (next: PolicyInForce) => Promise<void> }> {
  const { backend } = request;
  const { guest, started, gateway, course, broker, record, undo, state } = supervised;
  const { name, handle } = started;
  const details = (await backend.inspect(started)).details;
  const tellState = () => writeBeside(guest.run, () => state.up(gateway, details));
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
    for (const { code, detail } of await backend.stop(started, supervised.graceMs()))
      record({ kind: 'notice', code, detail });
  });
  const followed = followPolicy(request, { run: guest.run, course, record, enforce });
  undo.push(asyncly(followed.close));
  const controls = createControls({
    backend: backend.name,
    guest: async () => {
      await started.confined;
      return { name, handle };
    },
    course,
    moveOn,
    broker,
    record,
    stop: supervised.stop,
    replacePolicy: followed.replace,
  });
  const control = await createControlServer(guest.run.directory, controls);
  undo.push(() => control.close());
  if (broker !== null) {
    undo.push(asyncly(() => broker.close()));
    undo.push(asyncly(request.ask?.front(broker, guest.run) ?? (() => {})));
  }
  return { moveOn, enforce };
}

interface FollowedRun {
  readonly run: RunPlace;
  readonly course: PolicyCourse;
  readonly record: (entry: AuditEntry) => number;
  readonly enforce: (next: PolicyInForce) => Promise<void>;
}

/**
 * A changed policy file that no guest can write is in force within a moment; one that does not parse changes
 * nothing, and is told with its line. A person on the host can put another policy in its place.
 */
function followPolicy(request: SessionRequest, { run, course, record, enforce }: FollowedRun) {
  const watch = ({ reread, inForce }: Pick<PolicyChoice, 'reread' | 'inForce'>): (() => void) => {
    if (reread === null) return () => {};
    return watchPolicy({ inForce, reread }, request.mounts, async (change) => {
      const held = course.reload(change);
      if (held.ok) await enforce(held.inForce);
      if (change.ok && held.ok) keepPolicy(run, change.inForce);
      const { code, detail } = describeReload(held);
      record({ kind: 'notice', code, detail });
    });
  };
  let unwatch = watch(request);
  return {
    close: () => unwatch(),
    /** Raises what choosing raises, and `policy-invalid` where the guest cannot go on under it. */
    async replace(policies: readonly string[]): Promise<string> {
      const choice = await request.choosePolicy(policies);
      requireConfinement(choice.inForce, request.backend);
      const held = course.reload({ ok: true, inForce: choice.inForce });
      if (!held.ok)
        throw new SandError(
          'policy-invalid',
          held.problem,
          'name a policy whose phases begin as those of the guest',
        );
      const { digest } = held.inForce.policy;
      const detail = `the policy was replaced from the host: ${choice.layers.join(' + ')} (${digest})`;
      // On record before it decides anything.
      record({ kind: 'notice', code: 'policy-replaced', detail });
      unwatch();
      await enforce(held.inForce);
      keepPolicy(run, choice.inForce);
      unwatch = watch(choice);
      return digest;
    },
  };
}

/** With all its phases, for whoever asks what the guest goes by. */
function keepPolicy(run: RunPlace, { policy }: PolicyInForce): void {
  writeBeside(run, () => writeFileSync(run.policyPath, formatPolicy(policy), { mode: 0o600 }));
}

/** Raises `guest-exists`; then nothing of the run is left. */
function register(runs: string, run: RunPlace, chosen: GuestName | null): GuestRecord {
  const name = chosen ?? (run.id as GuestName);
  if (registerGuest(runs, name, run)) return { name, run };
  rmdirSync(run.directory);
  throw new SandError(
    'guest-exists',
    `a guest is named ${name} already`,
    `take another name, or remove that one: sand rm ${name}`,
  );
}

function leftBehind(what: string): SandError {
  return new SandError(
    'teardown-failed',
    `something of the guest is left: ${what}`,
    'remove it, or run `sand prune`',
  );
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
