/** The one place that names concrete backends. */
import { SandError } from '../errors.ts';
import type { BackendImages, ImageKeeper } from '../images/prepared.ts';
import type { VolumeKeeper } from '../volumes/keeping.ts';
import { createAppleContainerBackend } from './apple-container/backend.ts';
import type { SandboxBackend } from './backend.ts';
import { createLinuxBackend } from './linux/backend.ts';
import { createTartBackend } from './tart/backend.ts';
import type { MacInstallation } from './tart/installation.ts';

const BACKENDS: Readonly<Record<string, (link?: string) => SandboxBackend>> = {
  linux: () => createLinuxBackend(),
  'apple-container': () => createAppleContainerBackend(),
  tart: createTartBackend,
};

/** Loaded where an image is asked for. */
const IMAGES: Readonly<Record<string, () => Promise<BackendImages>>> = {
  async linux() {
    const { prepareImage } = await import('../images/guest-image.ts');
    return { usual: null, prepare: prepareImage, build: null };
  },
  async 'apple-container'() {
    const { APPLE_IMAGES } = await import('./apple-container/images.ts');
    return APPLE_IMAGES;
  },
  async tart() {
    const { TART_IMAGES } = await import('./tart/images.ts');
    return TART_IMAGES;
  },
};

const KEEPERS: Readonly<Record<string, () => Promise<ImageKeeper>>> = {
  async linux() {
    const { UNPACKED_IMAGES } = await import('../images/unpacked-images.ts');
    return UNPACKED_IMAGES;
  },
  async 'apple-container'() {
    const { CONTAINER_IMAGES } = await import('./apple-container/image-keeper.ts');
    return CONTAINER_IMAGES;
  },
};

const VOLUME_KEEPERS: Readonly<Record<string, () => Promise<VolumeKeeper>>> = {
  async linux() {
    const { FOLDER_VOLUMES } = await import('../volumes/volume-folders.ts');
    return FOLDER_VOLUMES;
  },
  async 'apple-container'() {
    const { CONTAINER_VOLUMES } = await import('./apple-container/volumes.ts');
    return CONTAINER_VOLUMES;
  },
};

export const BACKEND_NAMES: readonly string[] = Object.keys(BACKENDS);

/** `link`: which of its links, where it has several and this is one of them. Raises `usage` for a name that is no backend. */
export function createBackend(name: string, link?: string): SandboxBackend {
  return of(BACKENDS, name)(link);
}

/** Raises `usage` for a name that is no backend. */
export async function imagesOf(backend: string): Promise<BackendImages> {
  return of(IMAGES, backend)();
}

/** Raises `usage` for a name that is no backend. */
export async function imageKeeperOf(backend: string): Promise<ImageKeeper> {
  return of(KEEPERS, backend)();
}

/** Raises `usage` for a name that is no backend. */
export async function volumeKeeperOf(backend: string): Promise<VolumeKeeper> {
  return of(VOLUME_KEEPERS, backend)();
}

function of<T>(table: Readonly<Record<string, T>>, name: string): T {
  const value = Object.hasOwn(table, name) ? table[name] : undefined;
  if (value !== undefined) return value;
  throw Object.hasOwn(BACKENDS, name) ? keptElsewhere(name) : noBackend(name);
}

/** A backend whose own tool looks after what is asked for. */
function keptElsewhere(name: string): SandError {
  return new SandError(
    'backend-unavailable',
    `sand keeps none of these for the ${name} backend`,
    `use its own tool: ${name} list, ${name} pull, ${name} delete`,
  );
}

function noBackend(name: string): SandError {
  return new SandError(
    'usage',
    `--backend ${name}: there is no such backend`,
    `write one of: ${BACKEND_NAMES.join(', ')}`,
  );
}

/** Installs macOS into a machine that guests are cloned of; says what it does. Raises `guest-exists` where it is there. */
export async function installMacos(source: string, say: (line: string) => void): Promise<MacInstallation> {
  const { installMacos: install } = await import('./tart/installation.ts');
  return install(source, say);
}

/** Fetches what guests with a machine of their own boot; says what it does. Idempotent. */
export async function createMachineImage(
  say: (line: string) => void,
): Promise<{ readonly release: string; readonly image: string }> {
  const { createOwnKernel } = await import('./linux/vm/kernel-package.ts');
  return createOwnKernel(process.platform, process.arch, process.env, say);
}
