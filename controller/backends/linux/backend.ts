/**
 * The linux backend: a guest is a pair of network namespaces joined by the namespace link, and each command
 * in it a bubblewrap of its own. Runs what `argv.ts` plans; whoever created the guest destroys it.
 */
import { readlinkSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { ProbeResult } from '../../../audit/event.ts';
import { SandError } from '../../errors.ts';
import { createNamespaceLink, type NamespaceLink } from '../../links/namespace/link.ts';
import type { ProbePlan } from '../../links/namespace/messages.ts';
import { judgeObservations, withoutProbes } from '../../links/namespace/probe-verdicts.ts';
import { LINK } from '../../links/namespace/topology.ts';
import { preloadRunner } from '../../process/runner.ts';
import type {
  ExitStatus,
  GatewayPort,
  GuestCommand,
  GuestRef,
  GuestSpec,
  Observation,
  SandboxBackend,
} from '../backend.ts';
import { planCommand, planInit } from './argv.ts';
import { readAuthorityLists } from './authority-lists.ts';
import { runCommand } from './command.ts';
import { planEnvironment } from './environment.ts';
import { createGuestLinkConsumer } from './guest-link.ts';
import { askToEnd } from './guest-processes.ts';
import { formatHandle, type LinuxHandle, parseHandle } from './handle.ts';
import { readHostFiles, readProtectedFiles, realPath } from './host-files.ts';
import { callerIdentity } from './identity.ts';
import { type GuestInit, startInit } from './init.ts';
import { type GuestIdentity, isWithin, type Mount, planMounts } from './mounts.ts';
import { requirePassed } from './probe-failure.ts';
import { type ProtectedFile, planProtection } from './protected-files.ts';
import { writablePlaces } from './report.ts';
import { type Architecture, seccompFilter } from './seccomp.ts';
import { planShares } from './shares.ts';
import { planTrust } from './trust.ts';
import { compareWatched } from './watched-files.ts';

/** Documentation addresses (RFC 5737, RFC 3849): nothing private answers there, and nothing real does. */
const OUTSIDE = { address4: '203.0.113.7', address6: '2001:db8::7', resolver: '198.51.100.53' } as const;

/** Each look at the host's files takes tens of milliseconds, and they change rarely. */
const HOLD_ATTEMPTS = 3;

/** What a guest sees and is; decided once, when it starts. */
interface GuestPlan {
  readonly mounts: readonly Mount[];
  readonly watched: readonly ProtectedFile[];
  readonly environment: Readonly<Record<string, string>>;
  readonly identity: GuestIdentity;
}

/** A guest whose link is up. */
interface StartedGuest {
  readonly plan: GuestPlan;
  readonly link: NamespaceLink;
  readonly init: GuestInit;
  readonly gateway: GatewayPort;
  readonly probes: ProbePlan;
  readonly handle: LinuxHandle;
  /** Settles when the start probes have: rejects with `probe-failed`. No command is let go before. */
  readonly confined: Promise<void>;
  /** From here on its end is meant. */
  ending: boolean;
}

interface LinuxGuest {
  readonly ref: GuestRef;
  readonly spec: GuestSpec;
  started: StartedGuest | null;
  readonly running: Set<AbortController>;
}

export function createLinuxBackend(): SandboxBackend {
  const guests = new Map<string, LinuxGuest>();
  const known = (ref: GuestRef): LinuxGuest => {
    const guest = guests.get(ref.name);
    if (guest === undefined)
      throw new SandError('internal', `no guest ${ref.name}`, 'report this as a fault of sand');
    return guest;
  };
  return {
    name: 'linux',
    capabilities: {
      guestSystem: 'linux',
      link: 'namespace',
      transparent: true,
      isolation: 'namespaces',
      confinement: 'enforced',
      terminal: true,
      processAttribution: false,
    },
    probe: async () => (await import('./checks.ts')).checkLinux(),
    async create(spec) {
      const ref = { name: spec.name };
      if (!guests.has(spec.name)) guests.set(spec.name, { ref, spec, started: null, running: new Set() });
      return ref;
    },
    async start(ref, gateway, signal) {
      const guest = known(ref);
      const started = await startGuest(guest.spec, gateway, signal);
      guest.started = started;
      return { name: ref.name, handle: formatHandle(started.handle), confined: started.confined };
    },
    exec(ref, command) {
      const guest = guests.get(ref.name);
      if (guest !== undefined) return execIn(guest, command);
      return runIn(parseHandle(ref.handle ?? {}), Promise.resolve(), command, command.signal);
    },
    async inspect(ref) {
      const { started } = known(ref);
      if (started === null) return { running: false, details: {} };
      const { link, handle } = started;
      const { holderPid: holder, initPid: init, namespace } = handle;
      return { running: true, details: { holder, planter: link.planterPid, init, namespace } };
    },
    async stop(ref, graceMs): Promise<readonly Observation[]> {
      const { running, started } = known(ref);
      for (const command of running) command.abort();
      if (started === null) return [];
      started.ending = true;
      if (graceMs > 0) await askToEnd(started.handle.initPid, started.handle.holderPid, graceMs);
      await started.init.end();
      // A link that was lost counts nothing any more; the workspace is looked at all the same.
      const counting = started.link.tried().catch(() => []);
      const observations = compareWatched(started.plan.watched);
      started.gateway.refused(withoutProbes(await counting, started.probes));
      return observations;
    },
    async destroy(ref) {
      const guest = guests.get(ref.name);
      guests.delete(ref.name);
      if (guest?.started == null) return;
      guest.started.ending = true;
      await guest.started.init.end().finally(() => guest.started?.link.close());
    },
    list: async () => [...guests.values()].map(({ ref }) => ref),
  };
}

function planGuest(spec: GuestSpec): GuestPlan {
  const identity = callerIdentity();
  const sources = spec.mounts.map(({ source }) => source);
  const host = readHostFiles(identity.home, process.getuid?.() === 0, sources);
  const protection = planProtection(readProtectedFiles(spec.mounts, spec.policyFiles), spec.mounts);
  const shares = planShares(spec.shares, spec.cache, identity, process.env);
  const trust = planTrust(spec.authorities, () => readAuthorityLists(host, identity.home, process.env));
  const mounts = planMounts({
    host,
    identity,
    workspaces: spec.mounts,
    guards: protection.mounts,
    extras: [...shares.mounts, ...trust.mounts],
    nameserver: LINK.gateway4,
    ...(spec.lookupSeconds === undefined ? {} : { lookupSeconds: spec.lookupSeconds }),
  });
  const shown = mounts.filter((mount) => mount.kind === 'bind').map((mount) => mount.target);
  const isShown = (path: string) => shown.some((target) => isWithin(path, target)) || path.startsWith('/lib');
  const environment = planEnvironment({
    caller: process.env,
    identity,
    named: { ...shares.environment, ...trust.environment, ...spec.environment },
    visible: (path) => {
      const real = realPath(path);
      return real !== null && isShown(path) && isShown(real);
    },
  });
  return { mounts, watched: protection.watched, environment, identity };
}

/** The planter needs longest, so it is started first and the rest is done while it comes up. */
async function startGuest(spec: GuestSpec, gateway: GatewayPort, signal: AbortSignal): Promise<StartedGuest> {
  const consumer = createGuestLinkConsumer(gateway);
  const linking = createNamespaceLink(gateway.ports, consumer, signal);
  // Its failure is awaited below; until then it is nobody's.
  linking.catch(() => {});
  preloadRunner();
  try {
    const plan = planGuest(spec);
    const link = await linking;
    const namespace = namespaceOf(link);
    const probes = probePlan(gateway);
    gateway.onMorePorts((ports) => link.plant(ports));
    const confined = confine(link, gateway, probes, namespace, signal).then(() => consumer.open());
    confined.catch(() => {});
    const { init, plan: held } = await holdGuest(spec, plan, link, signal);
    const { identity, environment, mounts } = held;
    const handle = {
      holderPid: link.holderPid,
      initPid: init.pid,
      namespace,
      uid: identity.uid,
      gid: identity.gid,
      environment,
      workdir: spec.workdir,
      writable: writablePlaces(mounts),
    };
    const started = { plan: held, link, init, gateway, probes, handle, confined, ending: false };
    void init.ended.then(() => {
      if (!started.ending) gateway.lost(initLost());
    });
    return started;
  } catch (error) {
    await linking.then(
      (link) => link.close(),
      () => {},
    );
    throw error;
  }
}

/**
 * Between a look at the host's files and their mounts some go away: another program's socket in the workspace, a
 * temporary file. Then the guest does not come up, and the files are looked at again.
 */
async function holdGuest(
  spec: GuestSpec,
  first: GuestPlan,
  link: NamespaceLink,
  signal: AbortSignal,
): Promise<{ readonly init: GuestInit; readonly plan: GuestPlan }> {
  let plan = first;
  for (let attempt = 1; ; attempt++) {
    const { mounts, identity } = plan;
    const launch = planInit({
      holderPid: link.holderPid,
      mounts,
      identity,
      filter: seccompFilter(architecture()),
    });
    try {
      return { init: await startInit(launch, signal), plan };
    } catch (error) {
      const again = error instanceof SandError && error.code === 'guest-failed' && !signal.aborted;
      if (!again || attempt >= HOLD_ATTEMPTS) throw error;
      plan = planGuest(spec);
    }
  }
}

function initLost(): SandError {
  return new SandError(
    'guest-failed',
    'the guest was ended from outside: its first process was killed',
    'look for what ends processes on this machine, such as a memory limit',
  );
}

function namespaceOf(link: NamespaceLink): string {
  try {
    return readlinkSync(`/proc/${link.holderPid}/ns/net`);
  } catch (error) {
    throw new SandError(
      'link-failed',
      `what holds the guest\u2019s namespace is gone (${error instanceof Error ? error.message : error})`,
      'look for what ends processes on this machine, such as a memory limit',
    );
  }
}

async function confine(
  link: NamespaceLink,
  gateway: GatewayPort,
  plan: ProbePlan,
  namespace: string,
  signal: AbortSignal,
): Promise<void> {
  const seen = await link.probe(plan, signal);
  const results = judgeObservations(seen, {
    plan,
    greeting: gateway.probe.greeting,
    isSynthetic: (address) => isIPv4(address) && /^198\.1[89]\./.test(address),
  });
  const all = [...results, namespaceResult(seen.namespace, namespace)];
  for (const result of all) gateway.record(result);
  requirePassed(all);
}

function namespaceResult(seen: string, expected: string): ProbeResult {
  const passed = seen === expected;
  return { kind: 'probe', name: 'namespace', passed, detail: `looked from ${seen}` };
}

/** Raw addresses outside, the host's own addresses, and its listeners; then the resolver, by two servers. */
function probePlan(gateway: GatewayPort): ProbePlan {
  const own = Object.values(networkInterfaces())
    .flat()
    .filter((address) => address !== undefined && !address.internal && !address.address.startsWith('fe80'))
    .map((address) => address?.address ?? '');
  const hostAddresses = [own.find(isIPv4), own.find((address) => !isIPv4(address))].filter(
    (address) => address !== undefined,
  );
  return {
    connect: [
      { address: OUTSIDE.address4, port: 443 },
      { address: OUTSIDE.address6, port: 443 },
      { address: OUTSIDE.address4, port: 9 },
      ...hostAddresses.map((address) => ({ address, port: 80 })),
      ...gateway.hostListeners,
    ],
    servers: [LINK.gateway4, OUTSIDE.resolver],
    reservedName: gateway.probe.reservedName,
    deniedName: gateway.probe.deniedName,
  };
}

async function execIn({ started, running }: LinuxGuest, command: GuestCommand): Promise<ExitStatus> {
  if (started === null) {
    throw new SandError('internal', 'the guest was not started', 'report this as a fault of sand');
  }
  const stopping = new AbortController();
  running.add(stopping);
  try {
    const signal = AbortSignal.any([command.signal, stopping.signal]);
    return await runIn(started.handle, started.confined, command, signal);
  } finally {
    running.delete(stopping);
  }
}

function runIn(
  handle: LinuxHandle,
  confined: Promise<void>,
  command: GuestCommand,
  signal: AbortSignal,
): Promise<ExitStatus> {
  const launch = planCommand({
    holderPid: handle.holderPid,
    initPid: handle.initPid,
    identity: { uid: handle.uid, gid: handle.gid },
    environment: { ...handle.environment, ...command.environment },
    workdir: command.workdir ?? handle.workdir,
    terminal: command.terminal,
    filter: seccompFilter(architecture()),
    command: command.argv,
  });
  const { namespace, writable } = handle;
  return runCommand(launch, command, signal, { namespace, writable, confined });
}

function architecture(): Architecture {
  if (process.arch === 'x64' || process.arch === 'arm64') return process.arch;
  // Fail closed: without a filter for this processor there is no guest.
  throw new SandError(
    'backend-unavailable',
    `the linux backend has no system call filter for ${process.arch}`,
    'use an x86-64 or arm64 machine',
  );
}
