/** Which folders of the host are no root for a guest: what holds more than an image, and what the guest could write on the host. Pure. */
import type { MountSpec, UnpackedImage } from '../backends/backend.ts';
import { SandError } from '../errors.ts';

/** `own`: the caller's home and sand's own folders. Raises `workspace-refused`. */
export function refuseImagePlace(
  image: Pick<UnpackedImage, 'root' | 'digest'>,
  mounts: readonly MountSpec[],
  own: readonly string[],
): void {
  const { root, digest } = image;
  // One that sand unpacked lies in its own cache.
  if (digest !== null) return;
  if (root === '/' || own.some((folder) => folder === root || folder.startsWith(`${root}/`))) {
    throw refused(
      `${root} holds more than an image`,
      'name a folder that holds a root file system and nothing else',
    );
  }
  const mount = mounts.find(
    ({ source, writable }) =>
      writable && (source === root || root.startsWith(`${source}/`) || source.startsWith(`${root}/`)),
  );
  if (mount === undefined) return;
  throw refused(
    `the guest could change the image ${root}, which lies in what it may write, ${mount.source}`,
    'move the image out of the project, or mount that folder read-only: --mount DIR:ro',
  );
}

function refused(message: string, hint: string): SandError {
  return new SandError('workspace-refused', message, hint);
}
