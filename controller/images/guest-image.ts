/**
 * `--image` from its text to what a backend is given: reads or unpacks it, and looks up who runs in it. What a
 * guest's root is made of is for the backend.
 */
import type { UnpackedImage } from '../backends/backend.ts';
import { SandError } from '../errors.ts';
import { readImageText } from './image-files.ts';
import { lookAtPath } from './image-source.ts';
import { IMAGE_LIMITS } from './limits.ts';
import type { ImageFlag, PreparedImage } from './prepared.ts';
import { parseImageReference } from './reference.ts';
import { planImageEnvironment } from './run-words.ts';
import { imagesFolder, scratchFolder } from './store.ts';
import { openImage } from './unpack.ts';
import { HOST_PLATFORM } from './unpacked-images.ts';
import { resolveImageUser } from './users.ts';

export interface UnpackedGuest extends PreparedImage {
  readonly guest: UnpackedImage;
}

/** Raises every error of `--image`; what it unpacks stays for the next run. */
export async function prepareImage(flag: ImageFlag): Promise<UnpackedGuest> {
  if (flag.platform !== null && flag.platform !== HOST_PLATFORM) throw otherPlatform(flag.platform);
  const reference = parseImageReference(flag.text, flag.cwd, lookAtPath);
  const folder = imagesFolder(flag.environ, flag.home);
  const { environ, told, text } = flag;
  const image = await openImage({ reference, text, folder, environ, told });
  const { config, root, digest } = image;
  const read = (path: string) => readImageText(root, path, IMAGE_LIMITS.accountBytes);
  const accounts = { passwd: read('/etc/passwd'), group: read('/etc/group') };
  return {
    config,
    notices: [],
    guest: {
      kind: 'unpacked',
      name: text,
      digest: digest === '' ? null : `sha256:${digest}`,
      root,
      scratch: scratchFolder(folder),
      user: resolveImageUser(flag.user ?? config.user, accounts),
      environment: planImageEnvironment(config),
    },
  };
}

/** Fail closed: programs of another processor would not run, or be emulated by whatever the host has. */
function otherPlatform(platform: string): SandError {
  return new SandError(
    'image-invalid',
    `--platform ${platform}: the linux backend runs what is for this machine, ${HOST_PLATFORM}`,
    'leave out --platform, or name an image for this machine',
  );
}
