/**
 * One run from start to end: audit log, gateway, guest, command, teardown. Every step that made something is
 * undone on every way out, in reverse order, and a step that fails does not keep the next from running.
 */
import { rmdirSync } from 'node:fs';
import type { AuditEntry } from '../../audit/event.ts';
import { type AuditLog, createAuditLog } from '../../audit/log.ts';
import { auditRoot, type RunPlace } from '../../audit/runs.ts';
import type { SigningKey } from '../../audit/signature.ts';
import { Summary } from '../../audit/summary.ts';
import { totalsOf } from '../../audit/totals.ts';
import { allowedDomains } from '../../policies/allowed-domains.ts';
import { ASKED_LOOKUP_SECONDS } from '../ask/limits.ts';
import type { GuestCommand, GuestSpec } from '../backends/backend.ts';
import { SandError } from '../errors.ts';
import { createGateway } from '../gateway/gateway.ts';
import { removeBroken } from '../guests/guests.ts';
import { createJournal, guestFolder, type Journal, removeJournalled } from '../guests/journal.ts';
import type { GuestName } from '../guests/name.ts';
import { createOutputLog } from '../guests/output.ts';
import { type GuestRecord, registerGuest, releaseGuest } from '../guests/registry.ts';
import { openMetrics } from '../metrics/opening.ts';
import { createBroker, settingsFor } from './asking.ts';
import { watchClocks } from './clock-watch.ts';
import { runCommands } from './commands.ts';
import { type Ending, endingOf, toSandError } from './ending.ts';
import { recordOrAbort, withoutRepeats, writeBeside } from './log-failure.ts';
import { createObservers } from './observers.ts';
import { exposedCode } from './own-code.ts';
import { PolicyCourse } from './policy-course.ts';
import { keepPolicy } from './policy-following.ts';
import { auditError, createRunDirectory } from './run-directory.ts';
import {
  describeReach,
  requireLink,
  requireOffer,
  requireScreen,
  requireWayIn,
  runStart,
  tellGateway,
} from './run-facts.ts';
import type { Session, SessionRequest, SessionResult } from './session-request.ts';
import { createSignalRelay } from './signal-relay.ts';
import { createStateTeller } from './state-teller.ts';
import { asyncly, superviseGuest } from './supervision.ts';
import { createWayOut } from './way-out.ts';

/** Names that a guest's own settings may list; past them a guest has the rest by its usual resolver. */
const MOST_DOMAINS = 200;

export async function runSession(request: SessionRequest): Promise<SessionResult> {
  const startedAt = performance.now();
  const runs = auditRoot(request.environ);
  for (const left of await removeBroken(runs)) request.told(`left of a killed guest: ${left}`);
  const run = createRunDirectory(runs);
  const guest = register(runs, run, request.name);
  const log = openLog(run, request.auditKey);
  const summary = new Summary();
  const notices: string[] = [];
  const broken = new AbortController();
  const observers = await createObservers(log, request.environ);
  broken.signal.addEventListener('abort', observers.failed, { once: true });
  const record = (entry: AuditEntry): number => {
    const seq = recordOrAbort(log, entry, broken);
    summary.add({ ...entry, seq, time: new Date().toISOString(), guest: run.id, prev: '' });
    observers.recorded(entry);
    if (entry.kind === 'notice') notices.push(entry.detail);
    return seq;
  };
  const teardown: SandError[] = [];
  const course = new PolicyCourse(request.inForce);
  const state = createStateTeller(request, guest, course);
  let isKept = false;
  const ready = (up: GuestRecord) => {
    isKept = true;
    request.ready?.(up);
  };
  const told = { ...request, ready: request.ready === null ? null : ready };
  const ending = await runToEnd(
    told,
    { guest, course, record, observers, state, broken: broken.signal },
    teardown,
  );
  const durationMs = Math.round(performance.now() - startedAt);
  const left = await removeJournalled(run);
  teardown.push(...left.map(leftBehind));
  const folded = summary.rows();
  const totals = totalsOf(folded);
  try {
    record({
      kind: 'run-end',
      exitCode: ending.exitCode,
      cause: ending.cause,
      durationMs,
      events: log.events,
      totals,
    });
    log.close();
    state.ended(ending);
    // One that is not kept holds no name back from the next try, but that by which `sand prune` finds what is left of it.
    if (!isKept && left.length === 0) releaseGuest(runs, guest);
  } catch (error) {
    teardown.push(toSandError(error));
  }
  notices.push(...(await observers.close()));
  const { rows } = folded;
  return {
    run,
    ...ending,
    durationMs,
    rows,
    totals,
    notices,
    teardown: withoutRepeats(teardown, ending.error),
  };
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
  undo.push(asyncly(watchClocks(record)));
  try {
    record(runStart(request, session.guest, course));
    for (const notice of request.notices ?? []) record({ kind: 'notice', ...notice });
    for (const detail of exposedCode(request.mounts))
      record({ kind: 'notice', code: 'own-code-writable', detail });
    for (const detail of unheldFiles(request))
      record({ kind: 'notice', code: 'protected-files-restored', detail });
    const reach = describeReach(backend);
    if (reach !== null) record({ kind: 'notice', code: 'cooperative-confinement', detail: reach });
    keepPolicy(run, inForce);
    writeBeside(run, session.state.begun);
    requireOffer(inForce, request);
    requireWayIn(request);
    requireScreen(request);
    requireLink(request);
    const journal = createJournal(run);
    undo.push(asyncly(journal.close));
    let running = request.command;
    const broker =
      request.ask === null
        ? null
        : createBroker(settingsFor(request.ask, backend.capabilities.protection, request.mounts), {
            course,
            record,
            command: () => running,
            hostAddresses: () => gateway.hostAddresses(),
            enforce: (next) => supervised.enforce(next),
          });
    const served = await openMetrics(request, session.observers.metricsText);
    undo.push(served.close);
    const created = await backend.create(specOf(request, session, journal, broker !== null));
    undo.push(() => backend.destroy(created));
    const gateway = await createGateway({
      inForce: course.inForce,
      audit: { record },
      dnsPort: request.dnsPort,
      dnsUpstreams: request.dnsUpstreams,
      parents: request.parents,
      ask: broker?.ask ?? null,
      publish: request.ports ?? [],
      ownListeners: served.listeners,
      runs: auditRoot(request.environ),
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

function specOf(
  request: SessionRequest,
  { guest, course }: Session,
  journal: Journal,
  isAsked: boolean,
): GuestSpec {
  return {
    name: guest.run.id,
    mounts: request.mounts,
    ...(request.volumes === undefined ? {} : { volumes: request.volumes }),
    workdir: request.workdir,
    ...(request.image === undefined ? {} : { image: request.image }),
    domains: allowedDomains(course.inForce, MOST_DOMAINS),
    environment: request.environment,
    shares: request.shares,
    authorities: request.authorities,
    cache: request.cache,
    isolation: request.isolation,
    readOnly: request.readOnly ?? false,
    ...(request.screen === undefined ? {} : { screen: request.screen }),
    ...(request.resources === undefined ? {} : { resources: request.resources }),
    secrets: request.secrets ?? [],
    ...(request.user === null ? {} : { user: request.user }),
    ...(isAsked ? { lookupSeconds: ASKED_LOOKUP_SECONDS } : {}),
    policyFiles: filesInForce(request),
    place: { folder: guestFolder(guest.run), note: journal.note, told: request.told },
  };
}

/** Where no mount holds what the host would run or trust, that is told before a guest can write it. */
function unheldFiles({ backend, mounts }: SessionRequest): readonly string[] {
  if (backend.capabilities.protection === 'held' || !mounts.some(({ writable }) => writable)) return [];
  return [
    'while the guest runs it can write the protected files of its workspace (hooks, settings that name programs); what is changed there meanwhile, by it or by you, is put back when it has ended, and the end says where the change is',
  ];
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

/** What no guest may write, wherever it lies. */
function filesInForce({ inForce, projectFile, guarded = [] }: SessionRequest): readonly string[] {
  const policies = [inForce.policy, ...inForce.ceilings].flatMap(({ files }) => files);
  return [...policies, ...(projectFile === undefined ? [] : [projectFile]), ...guarded];
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

function openLog(run: RunPlace, key: SigningKey | undefined): AuditLog {
  try {
    const signing = key === undefined ? {} : { key };
    return createAuditLog({ path: run.auditPath, guest: run.id, clock: Date.now, ...signing });
  } catch (error) {
    throw auditError(error, run.directory);
  }
}
