/**
 * What a guest of Apple's `container` sees and is: its spec → what the tool is told, what the relay holds, and the
 * variables of its commands. Reads the host's files; makes nothing.
 */
import { statSync } from 'node:fs';
import { SandError } from '../../errors.ts';
import { isWithin } from '../../guest/file-state.ts';
import { isPassed } from '../../guest/passed-variables.ts';
import { type Guard, type ProtectedFile, planProtection } from '../../guest/protected-files.ts';
import { readProtectedFiles } from '../../guest/protected-reading.ts';
import { planAuthorities, planProxyVariables } from '../../guest/tools.ts';
import { RELAY_PROXY } from '../../links/relay/relay-program.ts';
import type { GuestSpec, MountSpec, NamedImage } from '../backend.ts';
import { planShares } from '../file-shares.ts';

export interface AppleGuestPlan {
  readonly image: string;
  readonly platform: string;
  /** Folders, which the tool mounts. */
  readonly folders: readonly MountSpec[];
  /** Single files: the tool would show the guest all of their folder, so they are staged. */
  readonly files: readonly MountSpec[];
  /** A socket of the host's, relayed. */
  readonly sockets: readonly MountSpec[];
  readonly guards: readonly Guard[];
  readonly watched: readonly ProtectedFile[];
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly authorities: readonly string[];
}

const SHARE_PLACES = { shared: '/.sand/shared', cache: '/.sand/cache' } as const;
const PROXY_URL = `http://${RELAY_PROXY.address}:${RELAY_PROXY.port}`;

/** Raises `backend-unavailable`, `share-unavailable`, `resources-unavailable` and `workspace-refused` for what cannot be had. */
export function planGuest(spec: GuestSpec, caller: NodeJS.ProcessEnv): AppleGuestPlan {
  refuseWhatIsNotThere(spec);
  const image = namedImage(spec);
  const isFile = ({ source }: MountSpec) => statSync(source).isFile();
  const folders = spec.mounts.filter((mount) => !isFile(mount));
  const protection = planProtection(readProtectedFiles(spec.mounts, spec.policyFiles), spec.mounts);
  const shares = planShares(spec.shares, spec.cache, caller, SHARE_PLACES);
  const isFolderGuard = ({ source }: Guard) => folders.some((folder) => isWithin(source, folder.source));
  const passed = Object.entries(caller).flatMap(([name, value]) =>
    value !== undefined && isPassed(name) ? [[name, value] as const] : [],
  );
  return {
    image: image.name,
    platform: image.platform,
    folders: [...folders, ...shares.folders],
    files: [...spec.mounts.filter(isFile).map((file) => held(file, protection.watched)), ...shares.files],
    sockets: shares.sockets,
    guards: protection.mounts.filter(isFolderGuard),
    watched: protection.watched,
    user: spec.user === undefined ? image.user : `${spec.user.uid}:${spec.user.gid}`,
    environment: {
      ...Object.fromEntries(passed),
      ...image.environment,
      SAND: '1',
      ...planProxyVariables(PROXY_URL),
      ...shares.environment,
      ...(spec.authorities.length === 0 ? {} : planAuthorities(spec.authorities, null).environment),
      ...spec.environment,
    },
    authorities: spec.authorities,
  };
}

/** Fail closed: what this backend cannot do is refused, never left out. */
function refuseWhatIsNotThere({ isolation, resources }: GuestSpec): void {
  if (isolation === 'gvisor') {
    throw new SandError(
      'backend-unavailable',
      'a guest of Apple\u2019s container is a machine of its own, and no gVisor runs in it',
      'leave out --isolation, or say --isolation vm',
    );
  }
  for (const [flag, value] of [
    ['--pids', resources?.pids],
    ['--disk', resources?.diskMiB],
  ] as const) {
    if (value === null || value === undefined) continue;
    throw new SandError(
      'resources-unavailable',
      `Apple\u2019s container has no limit for ${flag}`,
      `leave out ${flag}; --cpus and --memory bound the guest\u2019s machine`,
    );
  }
}

function namedImage({ image }: GuestSpec): NamedImage {
  if (image?.kind === 'named') return image;
  throw new SandError(
    'internal',
    'a guest of Apple\u2019s container was asked for without an image',
    'report this as a fault of sand',
  );
}

/** A policy file in force that is mounted by itself. */
function held(file: MountSpec, watched: readonly ProtectedFile[]): MountSpec {
  const isHeld = watched.some(({ path, always }) => always && path === file.source);
  return isHeld ? { ...file, writable: false } : file;
}
