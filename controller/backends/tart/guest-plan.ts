/**
 * What a guest of Tart sees and is: its spec → what the tool is told and what the guest is given. Reads the host's files;
 * makes nothing.
 */
import { statSync } from 'node:fs';
import { SandError } from '../../errors.ts';
import { isWithin } from '../../guest/file-state.ts';
import { isPassed } from '../../guest/passed-variables.ts';
import { type ProtectedFile, planProtection } from '../../guest/protected-files.ts';
import { readProtectedFiles } from '../../guest/protected-reading.ts';
import { planAuthorities, planProxyVariables } from '../../guest/tools.ts';
import { CABLE } from '../../links/ethernet/addresses.ts';
import type { GuestSpec, MountSpec, NamedImage } from '../backend.ts';
import { planShares } from '../file-shares.ts';
import type { MachineSettings, SharedFolder } from './argv.ts';
import type { TartLink } from './guest-card.ts';
import { GUEST_FOLDER, type GuestFile } from './guest-scripts.ts';

export interface TartGuestPlan {
  readonly link: TartLink;
  readonly image: string;
  readonly settings: MachineSettings;
  readonly folders: readonly SharedFolder[];
  /** Single files: the tool shares nothing but folders, so they are staged. */
  readonly files: readonly MountSpec[];
  /** By the name of a share, where it belongs in the guest. */
  readonly links: readonly { readonly share: string; readonly target: string }[];
  readonly watched: readonly ProtectedFile[];
  /** With the proxy as the guest reaches it: a URL. */
  environment(proxy: string): Readonly<Record<string, string>>;
  readonly given: readonly GuestFile[];
  readonly hasAuthorities: boolean;
}

/**
 * Where the guest's tools find their proxy. An address that is on no network of the guest's: macOS asks a person before a
 * program that has not the right may connect to one that is.
 */
export const PROXY = { address: '192.0.2.1', port: CABLE.proxyPort } as const;

const SHARE_PLACES = { shared: `${GUEST_FOLDER}/shared`, cache: `${GUEST_FOLDER}/cache` } as const;
/** `/run` on Linux, and there on macOS, which has no `/run` and lets nobody make one. */
const SECRETS = '/var/run/secrets';
/** More devices a machine has not. */
const MOST_FOLDERS = 32;
/** The agent of every image of Tart's runs as this user. */
export const USER = 'admin';

/** Raises `backend-unavailable`, `share-unavailable`, `resources-unavailable` and `workspace-refused` for what cannot be had. */
export function planGuest(spec: GuestSpec, caller: NodeJS.ProcessEnv, link: TartLink): TartGuestPlan {
  refuseWhatIsNotThere(spec);
  const isFile = ({ source }: MountSpec) => statSync(source).isFile();
  const shares = planShares(spec.shares, spec.cache, caller, SHARE_PLACES);
  const mounts = [...spec.mounts.filter((mount) => !isFile(mount)), ...shares.folders];
  const home = namedImage(spec).platform.startsWith('linux/') ? `/home/${USER}` : `/Users/${USER}`;
  refuseNested([...mounts, ...spec.mounts.filter(isFile)], home);
  const { watched } = planProtection(readProtectedFiles(spec.mounts, spec.policyFiles), spec.mounts);
  const authorities =
    spec.authorities.length === 0 ? null : ownPlaces(planAuthorities(spec.authorities, null));
  const passed = Object.entries(caller).flatMap(([name, value]) =>
    value !== undefined && isPassed(name) ? [[name, value] as const] : [],
  );
  return {
    link,
    image: namedImage(spec).name,
    settings: settingsOf(spec),
    folders: mounts.map(({ source, writable }, at) => ({ name: `sand${at}`, source, writable })),
    links: mounts.map(({ target }, at) => ({ share: `sand${at}`, target })),
    files: [...spec.mounts.filter(isFile), ...shares.files].map((file) => held(file, watched)),
    watched,
    environment: (proxy) => ({
      ...Object.fromEntries(passed),
      SAND: '1',
      ...planProxyVariables(proxy),
      ...shares.environment,
      ...authorities?.environment,
      ...spec.environment,
    }),
    given: [
      ...(spec.secrets ?? []).map(
        ({ name, content }): GuestFile => ({
          path: `${SECRETS}/${name}`,
          content,
          mode: '400',
          owner: 'user',
        }),
      ),
      ...(authorities?.files ?? []),
    ],
    hasAuthorities: authorities !== null,
  };
}

function settingsOf({ resources, screen }: GuestSpec): MachineSettings {
  const { cpus = null, memoryMiB = null, diskMiB = null } = resources ?? {};
  return {
    cpus: cpus === null ? null : Math.ceil(cpus),
    memoryMiB,
    diskGB: diskMiB === null ? null : Math.ceil((diskMiB * 1024 ** 2) / 1e9),
    display: screen?.size ?? null,
  };
}

/** Fail closed: what this backend cannot do is refused, never left out. */
function refuseWhatIsNotThere({ isolation, resources, shares, image, user }: GuestSpec): void {
  if (isolation === 'gvisor') {
    throw unavailable(
      'a guest of Tart is a machine of its own, and no gVisor runs in it',
      'leave out --isolation, or say --isolation vm',
    );
  }
  const who = image?.kind === 'named' ? image.user : USER;
  if (user !== undefined || who !== USER)
    throw unavailable(
      `commands in a guest of Tart are ${USER}\u2019s, who may become anybody by sudo without a password`,
      'leave out --user, and write sudo into the command',
    );
  if (shares.includes('ssh-agent'))
    throw new SandError(
      'share-unavailable',
      '--share ssh-agent: no socket of the host\u2019s is carried into a guest of Tart',
      'leave it out; give a key of its own with --secret',
    );
  if (resources?.pids !== null && resources?.pids !== undefined)
    throw new SandError(
      'resources-unavailable',
      'Tart has no limit for --pids',
      'leave out --pids; --cpus and --memory bound the guest\u2019s machine',
    );
}

/** Fail closed: a link inside of a share would be written into the host\u2019s own folder. */
function refuseNested(mounts: readonly MountSpec[], home: string): void {
  if (mounts.length > MOST_FOLDERS) {
    throw new SandError(
      'workspace-refused',
      `${mounts.length} mounts are more than the ${MOST_FOLDERS} that a guest of Tart is given`,
      'mount a folder above them',
    );
  }
  for (const inner of mounts) {
    const outer = mounts.find((other) => other !== inner && isWithin(inner.target, other.target));
    if (outer === undefined) continue;
    throw new SandError(
      'workspace-refused',
      `${inner.target} lies in ${outer.target}, and Tart mounts nothing inside of another mount`,
      `mount it at a place of its own: --mount ${inner.source}:${home}/NAME`,
    );
  }
}

/** A policy file in force that is mounted by itself. */
function held(file: MountSpec, watched: readonly ProtectedFile[]): MountSpec {
  const isHeld = watched.some(({ path, always }) => always && path === file.source);
  return isHeld ? { ...file, writable: false } : file;
}

/** Where macOS has them as well. */
function ownPlaces({ environment, files }: ReturnType<typeof planAuthorities>): {
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly GuestFile[];
} {
  const own = (path: string) => path.replace(/^\/run\//, '/var/run/');
  return {
    environment: Object.fromEntries(Object.entries(environment).map(([name, path]) => [name, own(path)])),
    files: files.map(({ path, content }) => ({ path: own(path), content, mode: '444', owner: 'user' })),
  };
}

function namedImage({ image }: GuestSpec): NamedImage {
  if (image?.kind === 'named') return image;
  throw new SandError(
    'internal',
    'a guest of Tart was asked for without an image',
    'report this as a fault of sand',
  );
}

function unavailable(message: string, hint: string): SandError {
  return new SandError('backend-unavailable', message, hint);
}
