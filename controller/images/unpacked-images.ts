/** The images that sand itself has unpacked, for `sand image`: the store, in the shape of all backends. */
import { SandError } from '../errors.ts';
import type { ImagePlatform } from './config.ts';
import { lookAtPath } from './image-source.ts';
import { findKept } from './kept.ts';
import type { ImageKeeper, ImageSurroundings, KeptImage } from './prepared.ts';
import { parseImageReference, pullHint } from './reference.ts';
import { imagesFolder, listStoredImages, removeStoredImage, type StoredImage } from './store.ts';
import { openImage } from './unpack.ts';

/** The one that is unpacked at all. */
export const HOST_PLATFORM: ImagePlatform = process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64';

export const UNPACKED_IMAGES: ImageKeeper = {
  list: async (where) => listStoredImages(folderOf(where)).map(described),
  async pull(name) {
    throw new SandError('usage', `sand pulls no image for the linux backend (${name})`, pullHint(name));
  },
  async bringIn(text, where) {
    const reference = parseImageReference(text, where.cwd, lookAtPath);
    if (reference.kind === 'directory') {
      throw new SandError(
        'usage',
        `${text} is a folder, which is used where it lies`,
        `write sand run --image ${text} -- CMD`,
      );
    }
    const { environ, told } = where;
    const image = await openImage({ reference, text, folder: folderOf(where), environ, told });
    return [described(image)];
  },
  async remove(texts, where) {
    const folder = folderOf(where);
    const images = listStoredImages(folder).map(described);
    const found = texts.map((text) => findKept(images, text));
    for (const { digest } of new Set(found)) removeStoredImage(folder, digest.replace(/^sha256:/, ''));
    return found;
  },
};

function described({ digest, name, unpackedAt, config, root }: StoredImage): KeptImage {
  return {
    name,
    digest: `sha256:${digest}`,
    platforms: [HOST_PLATFORM],
    date: unpackedAt,
    config,
    root,
  };
}

function folderOf({ environ, home }: ImageSurroundings): string {
  return imagesFolder(environ, home);
}
