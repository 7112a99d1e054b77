/**
 * The linux backend: which guests there are, and what each step of the interface is made of. A guest is a sandbox in a
 * pair of network namespaces joined by the namespace link; whoever created it destroys it.
 */
import { homedir } from 'node:os';
import { SandError } from '../../errors.ts';
import { compareWatched } from '../../guest/watched-files.ts';
import { withoutProbes } from '../../links/probing.ts';
import { createCgroups, readUsage, removePlanned, requireFree } from '../../resources/cgroup.ts';
import { NO_RESOURCES } from '../../resources/flags.ts';
import { type CgroupPlan, cgroupPaths, NO_CGROUPS } from '../../resources/plan.ts';
import { describeEvents } from '../../resources/usage.ts';
import { openVolumes } from '../../volumes/volume-folders.ts';
import type {
  ExitStatus,
  Finding,
  GuestCommand,
  GuestRef,
  GuestSpec,
  Observation,
  SandboxBackend,
} from '../backend.ts';
import { askGuestToEnd, execAlone, runIn } from './guest-commands.ts';
import { planLimits } from './guest-plan.ts';
import { endGuest, type StartedGuest, startGuest } from './guest-start.ts';
import { formatHandle, parseHandle } from './handle.ts';
import { kernelCache } from './vm/kernels.ts';
import { findParts, judgeParts } from './vm/parts.ts';

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
      // Behind a kernel of its own the guest's processes are nobody's business but that kernel's.
      processAttribution: ['namespaces'],
      publishedPorts: true,
      protection: 'held',
      screen: false,
      volumes: true,
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
      const started = await startGuest(withVolumes(spec), cgroups.procsFiles, gateway, signal);
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

/** To the guest a volume is one more folder of the host's, of sand's own there. */
function withVolumes(spec: GuestSpec): GuestSpec {
  const { volumes = [], mounts } = spec;
  if (volumes.length === 0) return spec;
  const where = { environ: process.env, home: process.env.HOME ?? homedir() };
  const all = [...mounts, ...openVolumes(volumes, where)];
  // What lies in another mount comes behind it.
  return { ...spec, mounts: all.sort((a, b) => a.target.length - b.target.length) };
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
