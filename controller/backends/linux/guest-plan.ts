/** What a guest of the linux backend sees and is, decided from the host's files as they are now. What holds it is `guest-start.ts`. */
import { SandError } from '../../errors.ts';
import { isWithin, realPath } from '../../guest/file-state.ts';
import { type ProtectedFile, planProtection } from '../../guest/protected-files.ts';
import { readProtectedFiles } from '../../guest/protected-reading.ts';
import { LINK } from '../../links/namespace/topology.ts';
import { NO_RESOURCES } from '../../resources/flags.ts';
import { readCgroupFacts, systemResourceHost } from '../../resources/host.ts';
import { type CgroupPlan, NO_CGROUPS, planCgroups, requirePlanned } from '../../resources/plan.ts';
import type { GuestSpec } from '../backend.ts';
import { readAuthorityLists } from './authority-lists.ts';
import { planEnvironment } from './environment.ts';
import { readHostFiles } from './host-files.ts';
import { guestIdentity } from './identity.ts';
import { planImageGuest } from './image-guest.ts';
import { HOST_LAUNCHER, type Launcher } from './launcher.ts';
import { readLauncher } from './launcher-files.ts';
import { type GuestIdentity, type Mount, planMounts } from './mounts.ts';
import { planOverlay } from './overlay.ts';
import { secretMounts } from './secrets.ts';
import { planShares } from './shares.ts';
import { planTrust } from './trust.ts';

/** What a guest sees and is; decided once, when it starts. */
export interface GuestPlan {
  readonly mounts: readonly Mount[];
  readonly watched: readonly ProtectedFile[];
  readonly environment: Readonly<Record<string, string>>;
  readonly identity: GuestIdentity;
  readonly launcher: Launcher;
  /** Of an image; null where the guest sees the host's system. */
  readonly overlay: readonly string[] | null;
}

/** Raises `resources-unavailable`; makes nothing. */
export function planLimits(spec: GuestSpec): CgroupPlan {
  const limits = spec.resources ?? NO_RESOURCES;
  if (limits.cpus === null && limits.memoryMiB === null && limits.pids === null) return NO_CGROUPS;
  const facts = readCgroupFacts(systemResourceHost(process.env));
  return requirePlanned(planCgroups(facts, limits, spec.name));
}

export async function planGuest(spec: GuestSpec): Promise<GuestPlan> {
  const { image } = spec;
  if (image?.kind === 'named') throw notUnpacked(image.name);
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

function notUnpacked(name: string): SandError {
  return new SandError(
    'backend-unavailable',
    `the linux backend runs no image that another tool keeps (${name})`,
    'name one that sand can unpack: see docs/images.md',
  );
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
