/** Finds on the host what a guest is put together of: which mounts are sockets, what of the image is hidden, whom it runs as. */
import { mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { capabilityMask, normalizeCapability } from '../../capabilities.ts';
import type { Container, Mount } from '../../containers.ts';
import { Failure } from '../../failure.ts';
import { faultsNamed, type Settings } from '../../settings.ts';
import type { Relay } from '../relay.ts';
import type { GuestParts, RootParts } from './plan.ts';
import { findUser } from './users.ts';

/** What of the host's own system is an image; everything else at the top is somebody's, and hidden. */
const SYSTEM = /^(bin|sbin|lib\w*|usr|etc|opt|var)$/;
const EMPTIED = [
  'dev',
  'home',
  'media',
  'mnt',
  'proc',
  'root',
  'run',
  'srv',
  'sys',
  'tmp',
  'var/tmp',
  'var/run',
];

export function capabilitiesOf({ configuration }: Container, settings: Settings): bigint {
  const lost = faultsNamed(settings, 'drop-capability').map(({ value }) => normalizeCapability(value ?? ''));
  return capabilityMask(configuration.capAdd, [...configuration.capDrop, ...lost]);
}

export interface Mounts {
  readonly binds: GuestParts['binds'];
  readonly tmpfs: GuestParts['tmpfs'];
  readonly relays: readonly Relay[];
}

/** A source that is a socket when the guest boots is relayed. `sockets` is the folder of the relays' own. */
export function sortMounts(container: Container, settings: Settings, sockets: string): Mounts {
  const missing = faultsNamed(settings, 'no-socket').map(({ value }) => value);
  const binds: GuestParts['binds'][number][] = [];
  const tmpfs: GuestParts['tmpfs'][number][] = [];
  const relays: Relay[] = [];
  for (const mount of container.configuration.mounts) {
    const target = mount.destination;
    if ('tmpfs' in mount.type) tmpfs.push({ target, options: mount.options.join(',') });
    else if (isSocket(mount.source)) {
      if (missing.includes(target) || missing.includes(undefined)) continue;
      const listenName = `${relays.length}.sock`;
      relays.push({ listenName, hostPath: mount.source });
      binds.push({ source: join(sockets, listenName), target, isReadOnly: false });
    } else binds.push({ source: sourceOf(mount), target, isReadOnly: mount.options.includes('ro') });
  }
  return { binds, tmpfs, relays };
}

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

function sourceOf({ source }: Mount): string {
  try {
    return realpathSync(source);
  } catch {
    throw new Failure(`path '${source}' does not exist`);
  }
}

export function partsOf(container: Container, settings: Settings, mounts: Mounts): GuestParts {
  const { configuration, folder, imageRoot } = container;
  const { initProcess } = configuration;
  const workFolder = join(folder, 'guest');
  mkdirSync(workFolder, { recursive: true });
  return {
    configuration,
    ...rootParts(workFolder, imageRoot, container.layers, null),
    binds: mounts.binds,
    tmpfs: mounts.tmpfs,
    credentials: findUser([...container.layers, imageRoot], initProcess.user, initProcess.supplementalGroups),
    capabilities: capabilitiesOf(container, settings),
    isWithoutNetfilter: faultsNamed(settings, 'no-netfilter').length > 0,
  };
}

/** Of the host's own system what is somebody's is left out. */
export function rootParts(
  workFolder: string,
  imageRoot: string,
  layers: readonly string[],
  upper: string | null,
): RootParts {
  const isHost = imageRoot === '/';
  return {
    workFolder,
    imageRoot,
    layers,
    upper,
    hidden: isHost ? readdirSync('/').filter((name) => !SYSTEM.test(name) && !EMPTIED.includes(name)) : [],
    emptied: isHost ? EMPTIED.filter((name) => isFolder(join('/', name))) : [],
  };
}

function isFolder(path: string): boolean {
  return !path.startsWith('/var/run') && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
