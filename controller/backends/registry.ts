/** The one place that names concrete backends. */
import { SandError } from '../errors.ts';
import type { SandboxBackend } from './backend.ts';
import { createLinuxBackend } from './linux/backend.ts';

const BACKENDS: Readonly<Record<string, () => SandboxBackend>> = { linux: createLinuxBackend };

export const BACKEND_NAMES: readonly string[] = Object.keys(BACKENDS);

/** Raises `usage` for a name that is no backend. */
export function createBackend(name: string): SandboxBackend {
  const create = Object.hasOwn(BACKENDS, name) ? BACKENDS[name] : undefined;
  if (create === undefined) {
    throw new SandError(
      'usage',
      `--backend ${name}: there is no such backend`,
      `write one of: ${BACKEND_NAMES.join(', ')}`,
    );
  }
  return create();
}

/** Fetches what guests with a machine of their own boot; says what it does. Idempotent. */
export async function createMachineImage(
  say: (line: string) => void,
): Promise<{ readonly release: string; readonly image: string }> {
  const { createOwnKernel } = await import('./linux/vm/kernel-package.ts');
  return createOwnKernel(process.platform, process.arch, process.env, say);
}
