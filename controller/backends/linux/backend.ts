/**
 * The linux backend: a guest is a pair of network namespaces joined by the namespace link, and each command
 * in it a bubblewrap of its own. Runs what `argv.ts` plans; whoever created the guest destroys it.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { ProbeResult } from '../../../audit/event.ts';
import { SandError } from '../../errors.ts';
import { createNamespaceLink, type NamespaceLink } from '../../links/namespace/link.ts';
import type { ProbePlan } from '../../links/namespace/messages.ts';
import { judgeObservations, withoutProbes } from '../../links/namespace/probe-verdicts.ts';
import { LINK } from '../../links/namespace/topology.ts';
import { preloadRunner } from '../../process/runner.ts';
import { createCgroups, readUsage, removePlanned, requireFree } from '../../resources/cgroup.ts';
import { NO_RESOURCES } from '../../resources/flags.ts';
import { readCgroupFacts, systemResourceHost } from '../../resources/host.ts';
import { joiningArguments } from '../../resources/join.ts';
import {
  type CgroupPlan,
  cgroupPaths,
  NO_CGROUPS,
  planCgroups,
  requirePlanned,
} from '../../resources/plan.ts';
import { describeEvents } from '../../resources/usage.ts';
import {
  DEFAULT_ISOLATION,
  type ExitStatus,
  type Finding,
  type GatewayPort,
  type GuestCommand,
  type GuestRef,
  type GuestSpec,
  type Observation,
  type SandboxBackend,
} from '../backend.ts';
import { planCommand, planInit } from './argv.ts';
import { readAuthorityLists } from './authority-lists.ts';
import { runCommand } from './command.ts';
import { planEnvironment } from './environment.ts';
import { createGuestLinkConsumer } from './guest-link.ts';
import { askToEnd } from './guest-processes.ts';
import { runGvisorCommand } from './gvisor/command.ts';
import { askGvisorToEnd, planGvisorInit, refuseSockets } from './gvisor/holder.ts';
import { formatHandle, type LinuxHandle, parseHandle } from './handle.ts';
import { readHostFiles, readProtectedFiles, realPath } from './host-files.ts';
import { guestIdentity } from './identity.ts';
import { planImageGuest } from './image-guest.ts';
import { type GuestInit, startInit } from './init.ts';
import { HOST_LAUNCHER, type Launcher } from './launcher.ts';
import { readLauncher } from './launcher-files.ts';
import { type GuestIdentity, isWithin, type Mount, planMounts } from './mounts.ts';
import { planOverlay } from './overlay.ts';
import { requirePassed } from './probe-failure.ts';
import { type ProtectedFile, planProtection } from './protected-files.ts';
import { writablePlaces } from './report.ts';
import { type Architecture, seccompFilter } from './seccomp.ts';
import { secretMounts } from './secrets.ts';
import { planShares } from './shares.ts';
import { planTrust } from './trust.ts';
import { machineLost, planVm, probeVm, startVm } from './vm/guest.ts';
import { kernelCache } from './vm/kernels.ts';
import { MACHINE_CAPABILITY_MASK } from './vm/machine.ts';
import { findParts, judgeParts } from './vm/parts.ts';
import { accessMachine, type Machine, runInMachine, type SandboxRunner } from './vm/start.ts';
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
  readonly launcher: Launcher;
  /** Of an image; null where the guest sees the host's system. */
  readonly overlay: readonly string[] | null;
}

/** A guest whose link is up. */
interface StartedGuest {
  readonly plan: GuestPlan;
  readonly link: NamespaceLink;
  readonly init: GuestInit;
  readonly gateway: GatewayPort;
  readonly probes: ProbePlan;
  readonly handle: LinuxHandle;
  /** Where the guest's commands run, for `--isolation vm`. */
  readonly machine: Machine | null;
  /** Settles when the start probes have: rejects with `probe-failed`. No command is let go before. */
  readonly confined: Promise<void>;
  /** From here on its end is meant. */
  ending: boolean;
}

interface LinuxGuest {
  readonly ref: GuestRef;
  readonly spec: GuestSpec;
  readonly cgroups: CgroupPlan;
  /** Whether its groups are made: until then what bears their names is somebody else's. */
  limited: boolean;
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
    async probe() {
      const { checkLinux } = await import('./checks.ts');
      return [...(await checkLinux()), ...checkMachine()];
    },
    async create(spec) {
      if (spec.isolation === 'gvisor' && spec.image !== undefined) {
        throw new SandError(
          'backend-unavailable',
          'this version runs no image in gVisor',
          'leave out --image, or --isolation gvisor',
        );
      }
      const ref = { name: spec.name };
      if (guests.has(spec.name)) return ref;
      const cgroups = planLimits(spec);
      guests.set(spec.name, { ref, spec, cgroups, limited: false, started: null, running: new Set() });
      return ref;
    },
    async start(ref, gateway, signal) {
      const guest = known(ref);
      const { cgroups, spec } = guest;
      if (cgroups !== NO_CGROUPS) {
        requireFree(cgroups);
        for (const path of cgroupPaths(cgroups)) spec.place.note({ kind: 'cgroup', path });
        await createCgroups(cgroups);
        guest.limited = true;
      }
      const started = await startGuest(spec, cgroups.procsFiles, gateway, signal);
      guest.started = started;
      return { name: ref.name, handle: formatHandle(started.handle), confined: started.confined };
    },
    exec(ref, command) {
      const guest = guests.get(ref.name);
      if (guest !== undefined) return execIn(guest, command);
      return execAlone(parseHandle(ref.handle ?? {}), command);
    },
    async inspect(ref) {
      const { started } = known(ref);
      if (started === null) return { running: false, details: {} };
      const { link, handle } = started;
      const { holderPid: holder, initPid: init, namespace } = handle;
      return { running: true, details: { holder, planter: link.planterPid, init, namespace } };
    },
    async stop(ref, graceMs): Promise<readonly Observation[]> {
      const { running, started, spec, cgroups } = known(ref);
      for (const command of running) command.abort();
      if (started === null) return [];
      started.ending = true;
      if (graceMs > 0) await (started.machine?.askToEnd(graceMs) ?? askGuestToEnd(started.handle, graceMs));
      await started.init.end();
      // A link that was lost counts nothing any more; the workspace is looked at all the same.
      const counting = started.link.tried().catch(() => []);
      const observations = compareWatched(started.plan.watched);
      started.gateway.refused(
        withoutProbes(await counting, started.probes, started.machine === null ? 1 : 2),
      );
      const limits = describeEvents(readUsage(cgroups.directories), spec.resources ?? NO_RESOURCES);
      return [...observations, ...limits];
    },
    async destroy(ref) {
      const guest = guests.get(ref.name);
      guests.delete(ref.name);
      if (guest === undefined) return;
      try {
        if (guest.started !== null) await endGuest(guest.started);
      } finally {
        if (guest.limited) await removePlanned(guest.cgroups);
      }
    },
    list: async () => [...guests.values()].map(({ ref }) => ref),
  };
}

/** Nothing to say where no guest of any kind runs. */
function checkMachine(): readonly Finding[] {
  const { platform, arch } = process;
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64')) return [];
  return [judgeParts(findParts(arch, kernelCache(process.env)))];
}

/** Raises `resources-unavailable`; makes nothing. */
function planLimits(spec: GuestSpec): CgroupPlan {
  const limits = spec.resources ?? NO_RESOURCES;
  if (limits.cpus === null && limits.memoryMiB === null && limits.pids === null) return NO_CGROUPS;
  const facts = readCgroupFacts(systemResourceHost(process.env));
  return requirePlanned(planCgroups(facts, limits, spec.name));
}

async function planGuest(spec: GuestSpec): Promise<GuestPlan> {
  const { image } = spec;
  if (image === undefined) return { ...planHostGuest(spec), launcher: HOST_LAUNCHER, overlay: null };
  const launcher = await readLauncher();
  const { folders, ...plan } = planImageGuest(spec, image, launcher);
  const overlay = planOverlay({
    root: image.root,
    scratch: image.scratch,
    diskMiB: spec.resources?.diskMiB ?? null,
    folders,
  });
  return { ...plan, launcher: launcher.launcher, overlay };
}

function planHostGuest(spec: GuestSpec): Omit<GuestPlan, 'launcher' | 'overlay'> {
  const identity = guestIdentity(spec.user ?? null);
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
    diskMiB: spec.resources?.diskMiB ?? null,
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
async function startGuest(
  spec: GuestSpec,
  procsFiles: readonly string[],
  gateway: GatewayPort,
  signal: AbortSignal,
): Promise<StartedGuest> {
  const consumer = createGuestLinkConsumer(gateway);
  const linking = createNamespaceLink(gateway.ports, consumer, signal);
  // Its failure is awaited below; until then it is nobody's.
  linking.catch(() => {});
  preloadRunner();
  try {
    if (spec.isolation === 'gvisor') refuseSockets(spec.shares);
    const plan = await planGuest(spec);
    const link = await linking;
    const namespace = namespaceOf(link);
    const probes = probePlan(gateway);
    gateway.onMorePorts((ports) => link.plant(ports));
    if (gateway.publishedPorts.length > 0) gateway.onDial(link.openWayIn(gateway.publishedPorts));
    const confining = confine(link, gateway, probes, namespace, signal);
    confining.catch(() => {});
    const machinePlan = await planVm(spec, architecture(), gateway.publishedPorts, plan);
    const holding = { spec, procsFiles, link, machine: machinePlan?.mounts ?? [] };
    const { init, plan: held } = await holdGuest(holding, plan, signal);
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
      procsFiles,
      launcher: held.launcher,
      isolation: spec.isolation ?? DEFAULT_ISOLATION,
      reservedName: gateway.probe.reservedName,
    };
    const inSandbox: SandboxRunner = (command, capabilities) =>
      runInSandbox(handle, Promise.resolve(), command, command.signal, capabilities);
    const machine = await startVm(machinePlan, inSandbox, init, signal);
    const confined = confining
      .then(() => probeVm(machine, gateway, probes, isSynthetic))
      .then(() => consumer.open());
    confined.catch(() => {});
    const started = { plan: held, link, init, gateway, probes, handle, machine, confined, ending: false };
    void machine?.ended.then((said) => {
      if (started.ending) return;
      gateway.lost(machineLost(said));
      void init.end().catch(() => {});
    });
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

interface HeldGuest {
  readonly spec: GuestSpec;
  readonly procsFiles: readonly string[];
  readonly link: NamespaceLink;
  /** Behind all other mounts. */
  readonly machine: readonly Mount[];
}

/**
 * Between a look at the host's files and their mounts some go away: another program's socket in the workspace, a
 * temporary file. Then the guest does not come up, and the files are looked at again.
 */
async function holdGuest(
  { spec, procsFiles, link, machine }: HeldGuest,
  first: GuestPlan,
  signal: AbortSignal,
): Promise<{ readonly init: GuestInit; readonly plan: GuestPlan }> {
  let plan = first;
  for (let attempt = 1; ; attempt++) {
    const { identity, launcher, overlay } = plan;
    const mounts = [...plan.mounts, ...machine];
    const shared = { joining: joiningArguments(procsFiles), mounts };
    const init = () =>
      planInit({
        ...shared,
        holderPid: link.holderPid,
        identity,
        filter: seccompFilter(architecture()),
        launcher,
        overlay,
      });
    const launch =
      spec.isolation === 'gvisor' ? planGvisorInit({ ...shared, linkPid: link.holderPid }) : init();
    try {
      return { init: await startInit(launch, signal), plan };
    } catch (error) {
      const again = error instanceof SandError && error.code === 'guest-failed' && !signal.aborted;
      if (!again || attempt >= HOLD_ATTEMPTS) throw error;
      plan = await planGuest(spec);
    }
  }
}

async function endGuest(started: StartedGuest): Promise<void> {
  started.ending = true;
  await started.init.end().finally(() => started.link.close());
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
    isSynthetic,
  });
  const all = [...results, namespaceResult(seen.namespace, namespace)];
  for (const result of all) gateway.record(result);
  requirePassed(all);
}

function isSynthetic(address: string): boolean {
  return isIPv4(address) && /^198\.1[89]\./.test(address);
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

/** In a guest of another process, which goes on when the command has ended. */
function execAlone(handle: LinuxHandle, command: GuestCommand): Promise<ExitStatus> {
  if (handle.isolation !== 'vm') return runIn(handle, Promise.resolve(), command, command.signal);
  return runInMachine(handle.workdir, command, (access) =>
    runInSandbox(handle, Promise.resolve(), access, access.signal, []),
  );
}

function runIn(
  handle: LinuxHandle,
  confined: Promise<void>,
  command: GuestCommand,
  signal: AbortSignal,
): Promise<ExitStatus> {
  if (handle.isolation === 'vm') {
    const access = accessMachine(randomUUID(), handle.workdir, command);
    return runInSandbox(handle, confined, access, signal, []);
  }
  const { holderPid, initPid, uid, gid, namespace, writable } = handle;
  if (handle.isolation === 'gvisor') {
    const shared = {
      holderPid,
      initPid,
      identity: { uid, gid },
      environment: { ...handle.environment, ...command.environment },
      workdir: command.workdir ?? handle.workdir,
      joining: joiningArguments(handle.procsFiles),
    };
    const { reservedName } = handle;
    const expected = { uid, hostKernel: hostKernel(), namespace, writable, isSynthetic };
    return runGvisorCommand({ ...shared, reservedName, expected, confined }, command, signal);
  }
  return runInSandbox(handle, confined, command, signal, []);
}

/** `capabilities` count in the command's own user namespace alone. */
function runInSandbox(
  handle: LinuxHandle,
  confined: Promise<void>,
  command: GuestCommand,
  signal: AbortSignal,
  capabilities: readonly string[],
): Promise<ExitStatus> {
  const { holderPid, initPid, uid, gid, namespace, writable } = handle;
  const launch = planCommand({
    holderPid,
    initPid,
    identity: { uid, gid },
    // What reaches a machine is no command of the guest's: that has its variables in the machine.
    environment: { ...(handle.isolation === 'vm' ? {} : handle.environment), ...command.environment },
    workdir: command.workdir ?? handle.workdir,
    joining: joiningArguments(handle.procsFiles),
    terminal: command.terminal,
    filter: seccompFilter(architecture()),
    launcher: handle.launcher,
    capabilities,
    command: command.argv,
  });
  const kept = capabilities.length === 0 ? {} : { capabilities: MACHINE_CAPABILITY_MASK };
  return runCommand(launch, command, signal, { namespace, writable, confined, ...kept });
}

function hostKernel(): string {
  return readFileSync('/proc/version', 'utf8').trim();
}

function askGuestToEnd(handle: LinuxHandle, graceMs: number): Promise<void> {
  if (handle.isolation === 'gvisor') return askGvisorToEnd(handle, graceMs);
  return askToEnd(handle.initPid, graceMs);
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
