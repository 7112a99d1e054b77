/** The one place that names concrete backends. */
import { SandError } from '../errors.ts';
import type { BackendImages, ImageKeeper } from '../images/prepared.ts';
import type { VolumeKeeper } from '../volumes/keeping.ts';
import { createAppleContainerBackend } from './apple-container/backend.ts';
import type { SandboxBackend } from './backend.ts';
import { createLinuxBackend } from './linux/backend.ts';

const BACKENDS: Readonly<Record<string, () => SandboxBackend>> = {
  linux: createLinuxBackend,
  'apple-container': createAppleContainerBackend,
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

/** Raises `usage` for a name that is no backend. */
export function createBackend(name: string): SandboxBackend {
  return of(BACKENDS, name)();
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
  if (value === undefined) throw noBackend(name);
  return value;
}

function noBackend(name: string): SandError {
  return new SandError(
    'usage',
    `--backend ${name}: there is no such backend`,
    `write one of: ${BACKEND_NAMES.join(', ')}`,
  );
}

/** Fetches what guests with a machine of their own boot; says what it does. Idempotent. */
export async function createMachineImage(
  say: (line: string) => void,
): Promise<{ readonly release: string; readonly image: string }> {
  const { createOwnKernel } = await import('./linux/vm/kernel-package.ts');
  return createOwnKernel(process.platform, process.arch, process.env, say);
}
