/**
 * `sand gateway`: the proxy and the resolver without a guest, in the foreground, for sidecars, other sandboxes
 * and outside test suites. Confines nobody by itself, and says so.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { homedir } from 'node:os';
import { escapeTerminal } from '../../audit/escape.ts';
import { AUDIT_SCHEMA_VERSION, type AuditEntry, type RunEnd } from '../../audit/event.ts';
import { type AuditLog, createAuditLog } from '../../audit/log.ts';
import { auditRoot } from '../../audit/runs.ts';
import { parseAuthority } from '../../policies/hostname.ts';
import type { IpAddress, PolicyInForce } from '../../policies/model.ts';
import { inPhase, phaseNames } from '../../policies/phase.ts';
import { requiredIsolation } from '../../policies/requirements.ts';
import { SandError } from '../errors.ts';
import { createGatewayCore, type GatewayCore, listenError } from '../gateway/core.ts';
import { isHostListener } from '../gateway/host-listeners.ts';
import { leadsTo } from '../gateway/own-place.ts';
import { describeParents, readParentSettings } from '../gateway/parent-proxy.ts';
import { openMetrics, type ServedMetrics } from '../metrics/opening.ts';
import { parseMetricsPlace } from '../metrics/place.ts';
import { toSandError } from '../run/ending.ts';
import { createObservers, type Observers } from '../run/observers.ts';
import { parseUpstreams, usage } from '../run/options.ts';
import { choosePolicy, type PolicyChoice, type PolicyReread } from '../run/policy-choice.ts';
import { describeReload, watchPolicy } from '../run/policy-watch.ts';
import { createRunDirectory } from '../run/run-directory.ts';

import { workingFolder } from '../run/workspace.ts';
import { VERSION } from '../version.ts';

export interface GatewayFlags {
  readonly policy: readonly string[];
  readonly allow: readonly string[];
  readonly listen: string;
  readonly dnsListen?: string;
  readonly dnsUpstream: readonly string[];
  readonly upstreamProxy?: string;
  readonly metrics?: string;
}

interface Place {
  readonly address: IpAddress;
  readonly port: number;
}

/** Serves until SIGINT or SIGTERM; then 0. */
export async function serveGateway(flags: GatewayFlags, stderr: (text: string) => void): Promise<number> {
  const startedAt = performance.now();
  const proxyPlace = parsePlace('--listen', flags.listen);
  const metrics =
    flags.metrics === undefined ? {} : { metrics: parseMetricsPlace(flags.metrics, workingFolder()) };
  const dnsPlace = flags.dnsListen === undefined ? null : parsePlace('--dns-listen', flags.dnsListen);
  const chosen = requireOnePhase(
    await choosePolicy({
      policies: flags.policy,
      allows: flags.allow,
      cwd: workingFolder(),
      home: process.env.HOME ?? homedir(),
      environ: process.env,
      told: (message) => stderr(`sand: ${message}\n`),
    }),
  );
  const parents = readParentSettings(flags.upstreamProxy ?? null, process.env);
  const run = createRunDirectory(auditRoot(process.env));
  const log = openLog(run.auditPath, run.id);
  const observers = await createObservers(log, process.env);
  const record = createRecorder(log, observers, stderr);
  const own: Place[] = [];
  const core = createGatewayCore({
    inForce: chosen.inForce,
    audit: { record },
    dnsUpstreams: parseUpstreams(flags.dnsUpstream),
    parents,
    isOwn: (address, port) =>
      own.some((place) => place.port === port && leadsTo(address, place.address)) ||
      isHostListener(auditRoot(process.env), address, port),
  });
  record(startEntry(run.id, chosen));
  for (const { code, detail } of chosen.notices) {
    record({ kind: 'notice', code, detail });
    stderr(`sand: ${escapeTerminal(detail)}\n`);
  }
  let exitCode = 0;
  let server: Server | null = null;
  let served: ServedMetrics | null = null;
  try {
    served = await openMetrics(
      { ...metrics, told: (text) => stderr(`sand: ${text}\n`) },
      observers.metricsText,
    );
    own.push(...served.listeners);
    server = await listen(core, proxyPlace);
    own.push(placeOf(server, proxyPlace.address));
    stderr(`sand: proxy (HTTP, CONNECT, SOCKS5) on ${format(placeOf(server, proxyPlace.address))}\n`);
    if (dnsPlace !== null) own.push(await listenForDns(core, dnsPlace, stderr));
    for (const place of parents === null ? [] : describeParents(parents))
      stderr(`sand: parent proxy ${place}\n`);
    tellIsolation(chosen.inForce, stderr);
    stderr(`sand: this gateway confines nobody by itself; log: sand audit ${run.id}\n`);
    const unwatch = watch(core, chosen, record, stderr);
    await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    unwatch();
  } catch (error) {
    exitCode = 125;
    throw error;
  } finally {
    server?.close();
    await served?.close();
    await core.close();
    const durationMs = Math.round(performance.now() - startedAt);
    const cause = exitCode === 0 ? 'exit' : 'error';
    const end: RunEnd = { kind: 'run-end', exitCode, cause, durationMs, events: log.events };
    seal(log, end);
    observers.recorded(end);
    for (const told of await observers.close()) stderr(`sand: ${escapeTerminal(told)}\n`);
  }
  return exitCode;
}

/** Raises `audit-unavailable`. */
function openLog(path: string, guest: string): AuditLog {
  try {
    return createAuditLog({ path, guest, clock: Date.now });
  } catch (error) {
    throw toSandError(error);
  }
}

/** What is refused once the log has failed is in no log: the person is told, when it fails. */
function createRecorder(log: AuditLog, observers: Observers, stderr: (text: string) => void) {
  let isTold = false;
  return (entry: AuditEntry): number => {
    try {
      const seq = log.record(entry);
      observers.recorded(entry);
      return seq;
    } catch (error) {
      observers.failed();
      const failure = toSandError(error);
      if (!isTold) stderr(`sand: ${failure.message}; from now on nothing is allowed\n`);
      isTold = true;
      throw failure;
    }
  };
}

/** Raises `audit-unavailable` where the log has failed, now or before. */
function seal(log: AuditLog, end: RunEnd): void {
  try {
    log.record(end);
    log.close();
  } catch (error) {
    throw toSandError(error);
  }
}

/** Fail closed: a gateway has no guest to move on, and in the first phase for ever it would allow what only a set-up was to have. */
function requireOnePhase(chosen: PolicyChoice): PolicyChoice {
  const { inForce, reread } = chosen;
  const first = (whole: PolicyInForce): PolicyInForce | null =>
    phaseNames(whole.policy).length > 1 ? null : inPhase(whole, 0);
  const problem = 'the policy has several phases, and a gateway alone stays in one';
  const only = first(inForce);
  if (only === null) {
    throw new SandError('policy-invalid', problem, 'keep one phase, or name a policy for each');
  }
  const rereadOne = (): PolicyReread => {
    const read = reread === null ? ({ ok: false, problem } as const) : reread();
    const again = read.ok ? first(read.inForce) : null;
    return again === null ? (read.ok ? { ok: false, problem } : read) : { ok: true, inForce: again };
  };
  return { ...chosen, inForce: only, reread: reread === null ? null : rereadOne };
}

function startEntry(run: string, chosen: PolicyChoice): AuditEntry {
  const { policy } = chosen.inForce;
  return {
    kind: 'run-start',
    schema: AUDIT_SCHEMA_VERSION,
    run,
    sand: VERSION,
    node: process.version,
    backend: 'none',
    isolation: 'none',
    confinement: 'cooperative',
    attribution: 'none',
    command: ['sand', 'gateway'],
    policy: { name: policy.name, digest: policy.digest, mode: policy.mode, layers: chosen.layers },
    workdir: workingFolder(),
  };
}

async function listen(core: GatewayCore, place: Place): Promise<Server> {
  if (place.address === '0.0.0.0' || place.address === '::') {
    throw listenError('the proxy', format(place), {
      code: 'address-refused',
      detail: 'that is every interface of the host',
    });
  }
  const server = createServer({ allowHalfOpen: true }, (socket) => core.proxy.acceptProxyConnection(socket));
  server.listen({ host: place.address, port: place.port });
  try {
    await once(server, 'listening');
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw listenError('the proxy', format(place), { code: 'bind-failed', detail });
  }
  // One connection could not be accepted; those that are open, and the next, can.
  server.on('error', () => {});
  return server;
}

async function listenForDns(core: GatewayCore, place: Place, stderr: (text: string) => void): Promise<Place> {
  const origin = { asker: 'guest', mode: 'vetted' } as const;
  const bound = await core.dns.bind(place.address, place.port, origin, 'named-address');
  if (!bound.ok) throw listenError('the resolver', format(place), bound);
  stderr(`sand: resolver (UDP and TCP) on ${format(bound)}\n`);
  return bound;
}

function watch(
  core: GatewayCore,
  chosen: PolicyChoice,
  record: (entry: AuditEntry) => number,
  stderr: (text: string) => void,
): () => void {
  const { inForce, reread } = chosen;
  if (reread === null) return () => {};
  return watchPolicy({ inForce, reread }, [], async (change) => {
    if (change.ok) core.replacePolicy(change.inForce);
    const { code, detail } = describeReload(change);
    record({ kind: 'notice', code, detail });
    stderr(`sand: ${detail}\n`);
    if (change.ok) tellIsolation(change.inForce, stderr);
  });
}

/** A gateway has no guest whose isolation it could look at. */
function tellIsolation(inForce: PolicyInForce, stderr: (text: string) => void): void {
  const wanted = requiredIsolation(inForce);
  if (wanted === null || wanted.isolation === 'namespaces') return;
  const { by, isolation } = wanted;
  stderr(`sand: the policy ${by.name} requires isolation ${isolation}: see to that where its clients run\n`);
}

function placeOf(server: Server, address: IpAddress): Place {
  const bound = server.address();
  return { address, port: typeof bound === 'object' && bound !== null ? bound.port : 0 };
}

/** `ADDR:PORT`, an IPv6 address in brackets; port 0 takes a free one. */
function parsePlace(flag: string, text: string): Place {
  const isAnyPort = text.endsWith(':0');
  const parsed = parseAuthority(isAnyPort ? `${text.slice(0, -1)}1` : text, null);
  if (!parsed.ok || parsed.value.host.kind !== 'address') {
    throw usage(`${flag} ${text}: not an address and port`, `write for example ${flag} 127.0.0.1:3128`);
  }
  return { address: parsed.value.host.address, port: isAnyPort ? 0 : parsed.value.port };
}

function format({ address, port }: Place): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}
