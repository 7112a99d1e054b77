/** The one place that names concrete backends. */
import { SandError } from '../errors.ts';
import type { BackendImages } from '../images/prepared.ts';
import { createAppleContainerBackend } from './apple-container/backend.ts';
import type { SandboxBackend } from './backend.ts';
import { createLinuxBackend } from './linux/backend.ts';
import { createTartBackend } from './tart/backend.ts';

const BACKENDS: Readonly<Record<string, () => SandboxBackend>> = {
  linux: createLinuxBackend,
  'apple-container': createAppleContainerBackend,
  tart: createTartBackend,
};

/** Loaded where an image is asked for. */
const IMAGES: Readonly<Record<string, () => Promise<BackendImages>>> = {
  async linux() {
    const { prepareImage } = await import('../images/guest-image.ts');
    return { usual: null, prepare: prepareImage };
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

export const BACKEND_NAMES: readonly string[] = Object.keys(BACKENDS);

/** Raises `usage` for a name that is no backend. */
export function createBackend(name: string): SandboxBackend {
  const create = Object.hasOwn(BACKENDS, name) ? BACKENDS[name] : undefined;
  if (create === undefined) throw noBackend(name);
  return create();
}

/** Raises `usage` for a name that is no backend. */
export async function imagesOf(backend: string): Promise<BackendImages> {
  const images = Object.hasOwn(IMAGES, backend) ? IMAGES[backend] : undefined;
  if (images === undefined) throw noBackend(backend);
  return images();
}

function noBackend(name: string): SandError {
  return new SandError(
    'usage',
    `--backend ${name}: there is no such backend`,
    `write one of: ${BACKEND_NAMES.join(', ')}`,
  );
}

/** Installs macOS into a machine that guests are cloned of; says what it does. Raises `guest-exists` where it is there. */
export async function installMacos(
  source: string,
  say: (line: string) => void,
): Promise<{ readonly name: string; readonly diskGB: number }> {
  const { installMacos: install } = await import('./tart/images.ts');
  return install(source, say);
}

/** Fetches what guests with a machine of their own boot; says what it does. Idempotent. */
export async function createMachineImage(
  say: (line: string) => void,
): Promise<{ readonly release: string; readonly image: string }> {
  const { createOwnKernel } = await import('./linux/vm/kernel-package.ts');
  return createOwnKernel(process.platform, process.arch, process.env, say);
}
