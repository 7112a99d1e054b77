/**
 * Starts a guest: its link, the sandbox that is the guest, under `--isolation vm` its machine, and the start probes beside
 * them. What the guest is like is decided in `guest-plan.ts`.
 */
import { SandError } from '../../errors.ts';
import { createNamespaceLink, type NamespaceLink } from '../../links/namespace/link.ts';
import { LINK } from '../../links/namespace/topology.ts';
import { isSynthetic, type ProbePlan, planProbes } from '../../links/probing.ts';
import { preloadRunner } from '../../process/runner.ts';
import { joiningArguments } from '../../resources/join.ts';
import { DEFAULT_ISOLATION, type GatewayPort, type GuestSpec } from '../backend.ts';
import { architecture } from './architecture.ts';
import { planInit } from './argv.ts';
import { type Attribution, openAttribution } from './attribution.ts';
import { confine, namespaceOf } from './confinement.ts';
import { runInSandbox } from './guest-commands.ts';
import { createGuestLinkConsumer } from './guest-link.ts';
import { type GuestPlan, planGuest } from './guest-plan.ts';
import { planGvisorInit, refuseSockets } from './gvisor/holder.ts';
import type { LinuxHandle } from './handle.ts';
import { type GuestInit, startInit } from './init.ts';
import type { Mount } from './mounts.ts';
import { writablePlaces } from './report.ts';
import { seccompFilter } from './seccomp.ts';
import { machineLost, planVm, probeVm, startVm } from './vm/guest.ts';
import type { Machine, SandboxRunner } from './vm/start.ts';

/** Each look at the host's files takes tens of milliseconds, and they change rarely. */
const HOLD_ATTEMPTS = 3;
/** A guest whose link is up. */
export interface StartedGuest {
  readonly plan: GuestPlan;
  readonly link: NamespaceLink;
  readonly init: GuestInit;
  readonly gateway: GatewayPort;
  readonly probes: ProbePlan;
  readonly handle: LinuxHandle;
  /** Null where nobody can tell which process of the guest connects. */
  readonly attribution: Attribution | null;
  /** Where the guest's commands run, for `--isolation vm`. */
  readonly machine: Machine | null;
  /** Settles when the start probes have: rejects with `probe-failed`. No command is let go before. */
  readonly confined: Promise<void>;
  /** From here on its end is meant. */
  ending: boolean;
}

/** The planter needs longest, so it is started first and the rest is done while it comes up. */
export async function startGuest(
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
    const probes = planProbes(gateway, LINK.gateway4);
    gateway.onMorePorts((ports) => link.plant(ports));
    if (gateway.publishedPorts.length > 0) gateway.onDial(link.openWayIn(gateway.publishedPorts));
    const confining = confine(link, gateway, probes, namespace, signal);
    confining.catch(() => {});
    const machinePlan = await planVm(spec, architecture(), gateway.publishedPorts, plan);
    const holding = { spec, procsFiles, link, machine: machinePlan?.mounts ?? [] };
    const { init, plan: held } = await holdGuest(holding, plan, signal);
    const { identity, environment, mounts } = held;
    const attribution = attributionOf(spec, init.pid, gateway);
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
    const started = {
      plan: held,
      link,
      init,
      gateway,
      probes,
      handle,
      attribution,
      machine,
      confined,
      ending: false,
    };
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
      if (!isComplaint(error) || signal.aborted || attempt >= HOLD_ATTEMPTS) throw error;
      plan = await planGuest(spec);
    }
  }
}

/** bubblewrap gave up by itself; one that was killed, or had to be, is not tried again. */
function isComplaint(error: unknown): boolean {
  return error instanceof SandError && error.code === 'guest-failed' && error.details?.signal === null;
}

/** Opened while nothing but sand's own program runs in the guest. */
function attributionOf(
  { isolation = DEFAULT_ISOLATION }: GuestSpec,
  initPid: number,
  gateway: GatewayPort,
): Attribution | null {
  if (isolation !== 'namespaces') return null;
  const attribution = openAttribution(initPid);
  gateway.attributeBy(attribution?.attribute ?? null);
  return attribution;
}

export async function endGuest(started: StartedGuest): Promise<void> {
  started.ending = true;
  started.attribution?.close();
  await started.init.end().finally(() => started.link.close());
}

function initLost(): SandError {
  return new SandError(
    'guest-failed',
    'the guest was ended from outside: its first process was killed',
    'look for what ends processes on this machine, such as a memory limit',
  );
}
