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
import { planLaunch } from './argv.ts';
import { readAuthorityLists } from './authority-lists.ts';
import { runCommand } from './command.ts';
import { planEnvironment } from './environment.ts';
import { createGuestLinkConsumer } from './guest-link.ts';
import { readHostFiles, readProtectedFiles, realPath } from './host-files.ts';
import { callerIdentity } from './identity.ts';
import { type GuestIdentity, isWithin, type Mount, planMounts } from './mounts.ts';
import { type ProtectedFile, planProtection } from './protected-files.ts';
import { type Architecture, seccompFilter } from './seccomp.ts';
import { secretMounts } from './secrets.ts';
import { planShares } from './shares.ts';
import { planTrust } from './trust.ts';
import { compareWatched } from './watched-files.ts';

/** Documentation addresses (RFC 5737, RFC 3849): nothing private answers there, and nothing real does. */
const OUTSIDE = { address4: '203.0.113.7', address6: '2001:db8::7', resolver: '198.51.100.53' } as const;

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
  readonly gateway: GatewayPort;
  readonly probes: ProbePlan;
  /** `net:[inode]` of the guest's namespace. */
  readonly namespace: string;
  /** Settles when the start probes have: rejects with `probe-failed`. No command is let go before. */
  readonly confined: Promise<void>;
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
      publishedPorts: true,
    },
    probe: async () => (await import('./checks.ts')).checkLinux(),
    async create(spec) {
      const ref = { name: spec.name };
      if (!guests.has(spec.name)) guests.set(spec.name, { ref, spec, started: null, running: new Set() });
      return ref;
    },
    async start(ref, gateway, signal) {
      const guest = known(ref);
      guest.started = await startGuest(guest.spec, gateway, signal);
    },
    exec: (ref, command) => execIn(known(ref), command),
    async inspect(ref) {
      const { started } = known(ref);
      if (started === null) return { running: false, details: {} };
      const { link, namespace } = started;
      return { running: true, details: { holder: link.holderPid, planter: link.planterPid, namespace } };
    },
    async stop(ref): Promise<readonly Observation[]> {
      const { running, started } = known(ref);
      for (const command of running) command.abort();
      if (started === null) return [];
      // A link that was lost counts nothing any more; the workspace is looked at all the same.
      const counting = started.link.tried().catch(() => []);
      const observations = compareWatched(started.plan.watched);
      started.gateway.refused(withoutProbes(await counting, started.probes));
      return observations;
    },
    async destroy(ref) {
      const guest = guests.get(ref.name);
      guests.delete(ref.name);
      await guest?.started?.link.close();
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
    extras: [...shares.mounts, ...trust.mounts, ...secretMounts(spec.secrets ?? [])],
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
  let plan: GuestPlan;
  let link: NamespaceLink;
  let namespace: string;
  try {
    plan = planGuest(spec);
    link = await linking;
    namespace = namespaceOf(link);
  } catch (error) {
    await linking.then(
      (link) => link.close(),
      () => {},
    );
    throw error;
  }
  const probes = probePlan(gateway);
  gateway.onMorePorts((ports) => link.plant(ports));
  if (gateway.publishedPorts.length > 0) gateway.onDial(link.openWayIn(gateway.publishedPorts));
  const confined = confine(link, gateway, probes, namespace, signal).then(() => consumer.open());
  confined.catch(() => {});
  return { plan, link, gateway, probes, namespace, confined };
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
  requirePassed(gateway, [...results, namespaceResult(seen.namespace, namespace)]);
}

function namespaceResult(seen: string, expected: string): ProbeResult {
  const passed = seen === expected;
  return { kind: 'probe', name: 'namespace', passed, detail: `looked from ${seen}` };
}

/** Fail closed: a probe that did not pass keeps the command from starting. */
function requirePassed(gateway: GatewayPort, results: readonly ProbeResult[]): void {
  for (const result of results) gateway.record(result);
  const failed = results.filter(({ passed }) => !passed);
  if (failed.length === 0) return;
  throw new SandError(
    'probe-failed',
    `a start probe failed: ${failed.map(({ name, detail }) => `${name} (${detail})`).join('; ')}`,
    'the command did not start; run `sand doctor`, and report this with its output',
    { details: { failed } },
  );
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

async function execIn({ spec, started, running }: LinuxGuest, command: GuestCommand): Promise<ExitStatus> {
  if (started === null) {
    throw new SandError('internal', 'the guest was not started', 'report this as a fault of sand');
  }
  const { plan, link, gateway, namespace, confined } = started;
  const launch = planLaunch({
    holderPid: link.holderPid,
    mounts: plan.mounts,
    identity: plan.identity,
    environment: plan.environment,
    workdir: spec.workdir,
    terminal: command.terminal,
    filter: seccompFilter(architecture()),
    command: command.argv,
  });
  const stopping = new AbortController();
  running.add(stopping);
  try {
    return await runCommand(launch, command, AbortSignal.any([command.signal, stopping.signal]), {
      namespace,
      mounts: plan.mounts,
      judged: (results) => requirePassed(gateway, results),
      confined,
    });
  } finally {
    running.delete(stopping);
  }
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
