/** The images that Apple's `container` keeps, for `sand image`: what the tool says of them, in the shape of all backends. */
import { resolve } from 'node:path';
import { SandError } from '../../errors.ts';
import { findKept } from '../../images/kept.ts';
import type { ImageKeeper, KeptImage } from '../../images/prepared.ts';
import { IMAGE_LIST, planImageDelete, planImageLoad } from './image-argv.ts';
import { configOf, HOST_PLATFORM, platformsOf, pullImage, requireReference, unreadable } from './images.ts';
import { type ImageFacts, parseImages } from './parse.ts';
import { runContainer, TOOL_LIMITS } from './tool.ts';

export const CONTAINER_IMAGES: ImageKeeper = {
  list: async () => (await listImages()).map(described),
  async pull(name, platform, { say }) {
    requireReference(name, '');
    return described(await pullImage(name, platform ?? HOST_PLATFORM, say));
  },
  async bringIn(text, { cwd, say }) {
    const path = archivePath(text, cwd);
    const before = await listImages();
    say(`loading ${path}`);
    const printed = await runContainer(planImageLoad(path), TOOL_LIMITS.pullMs);
    const named = new Set(printed.split('\n').flatMap((line) => spellings(line.trim())));
    const isNew = ({ name, digest }: ImageFacts) =>
      !before.some((one) => one.name === name && one.digest === digest);
    return (await listImages()).filter((one) => named.has(one.name) || isNew(one)).map(described);
  },
  async remove(texts) {
    const images = (await listImages()).map(described);
    const found = [...new Set(texts.map((text) => findKept(images, text, spellings(text))))];
    await runContainer(planImageDelete(found.map(({ name }) => name)), TOOL_LIMITS.commandMs);
    return found;
  },
};

async function listImages(): Promise<readonly ImageFacts[]> {
  const images = parseImages(await runContainer(IMAGE_LIST, TOOL_LIMITS.queryMs));
  if (images === null) throw unreadable(IMAGE_LIST);
  return images;
}

function described(image: ImageFacts): KeptImage {
  const { name, digest, date } = image;
  return {
    name,
    digest,
    platforms: platformsOf(image),
    date,
    config: readableConfig(image),
    root: null,
  };
}

/** One that sand would not run is there all the same. */
function readableConfig(image: ImageFacts): KeptImage['config'] {
  const [platform = HOST_PLATFORM] = platformsOf(image).includes(HOST_PLATFORM)
    ? [HOST_PLATFORM]
    : platformsOf(image).filter((one) => one === 'linux/amd64' || one === 'linux/arm64');
  try {
    return configOf(image, platform);
  } catch (error) {
    if (error instanceof SandError && error.code === 'image-invalid') return null;
    throw error;
  }
}

/** A name as the tool completes it: `node` is `docker.io/library/node:latest`. */
export function spellings(text: string): readonly string[] {
  const tagged = /(@sha256:|:[\w][\w.-]{0,127}$)/.test(text) ? text : `${text}:latest`;
  const [first = '', ...rest] = tagged.split('/');
  if (rest.length > 0 && (/[.:]/.test(first) || first === 'localhost')) return [text, tagged];
  return [text, tagged, `docker.io/${rest.length > 0 ? tagged : `library/${tagged}`}`];
}

/** The tool reads archives in the form of the OCI image layout alone, and says little of others. */
function archivePath(text: string, cwd: string): string {
  const path = text.replace(/^oci-archive:/, '');
  if (/^(oci|docker-archive|containers-storage|docker|docker-daemon):/.test(path)) {
    throw new SandError(
      'usage',
      `${text}: Apple\u2019s container takes an archive in OCI form`,
      'make one: skopeo copy SOURCE oci-archive:image.tar:NAME:TAG, or docker buildx build -o type=oci,dest=image.tar',
    );
  }
  return resolve(cwd, path);
}
