/**
 * Images of guests of Apple's `container`: the tool keeps them by name, and pulls what it does not have. A pull goes
 * by the host's own network, outside any policy. Builds are `builds.ts`'s.
 */
import { SandError } from '../../errors.ts';
import { type ImageConfig, type ImagePlatform, parseImageConfig } from '../../images/config.ts';
import type { BackendImages, ImageFlag, ImageNotice, PreparedImage } from '../../images/prepared.ts';
import { planImageEnvironment } from '../../images/run-words.ts';
import { planImageInspect, planImagePull } from './image-argv.ts';
import { type ImageFacts, type ImageVariant, parseImages } from './parse.ts';
import { explainPull, withoutPlatform } from './pull-failure.ts';
import { requireTool } from './readiness.ts';
import { runShown } from './shown.ts';
import { askContainer, failure, TOOL_LIMITS } from './tool.ts';

/** Small, with a shell and a package manager; people name what their project needs. */
export const USUAL_IMAGE = 'docker.io/library/debian:stable-slim';

/** Of this host, which is that of its machines' kernels. */
export const HOST_PLATFORM: ImagePlatform = process.arch === 'x64' ? 'linux/amd64' : 'linux/arm64';

export const APPLE_IMAGES: BackendImages = {
  usual: USUAL_IMAGE,
  prepare: prepareImage,
  async build(flag) {
    const { buildImage } = await import('./builds.ts');
    return buildImage(flag);
  },
};

async function prepareImage(flag: ImageFlag): Promise<PreparedImage> {
  const { text, say } = flag;
  requireReference(text);
  const platform = flag.platform ?? HOST_PLATFORM;
  const found = await findImage(text);
  const image = found !== null && isFor(found, platform) ? found : await pullImage(text, platform, say);
  return preparedImage(text, image, flag);
}

/** What a guest is given of an image that is there. Raises `image-invalid`. */
export function preparedImage(
  name: string,
  image: ImageFacts,
  wishes: Pick<ImageFlag, 'user' | 'platform'>,
): PreparedImage {
  const platform = wishes.platform ?? HOST_PLATFORM;
  const config = configOf(image, platform);
  if (config === null) throw withoutPlatform(name, platform, platformsOf(image));
  const guest = {
    kind: 'named',
    name,
    digest: image.digest,
    platform,
    user: wishes.user ?? config.user,
    environment: planImageEnvironment(config),
  } as const;
  return { guest, config, notices: translation(name, platform) };
}

/** The machine's kernel is of this host's processor; Apple's tool has Rosetta translate what is for another. */
function translation(name: string, platform: ImagePlatform): readonly ImageNotice[] {
  if (platform === HOST_PLATFORM) return [];
  const detail = `${name} is for ${platform}: Rosetta translates its programs on this ${HOST_PLATFORM} machine, which is slower, and some of them fail`;
  return [{ code: 'image-translated', detail }];
}

/** Of what the tool takes for a name; whether there is such an image it says itself. Raises `usage`. */
export function requireReference(text: string, word = '--image '): void {
  const isPath = /^[/.~]/.test(text) || /^(oci|oci-archive|docker-archive):/.test(text);
  if (!isPath && /^[A-Za-z0-9][\w.:/@-]{0,511}$/.test(text)) return;
  throw new SandError(
    'usage',
    `${word}${text}: no name of an image in a registry`,
    isPath
      ? `bring an archive in first, then use its name: sand image import ${text}`
      : `write for example ${word}docker.io/library/node:24`,
  );
}

/** Null where the tool has none of that name. */
export async function findImage(reference: string): Promise<ImageFacts | null> {
  const args = planImageInspect(reference);
  const output = await askContainer(args, TOOL_LIMITS.queryMs);
  if (output.exitCode !== 0) {
    const error = failure(args, output);
    if (error.code === 'backend-unavailable') throw error;
    // What has no image may be no such tool, or one that is too old to fetch it.
    await requireTool();
    return null;
  }
  const images = parseImages(output.stdout);
  if (images === null) {
    await requireTool();
    throw unreadable(args);
  }
  return images[0] ?? null;
}

/** With the tool's own progress on the standard error. Raises `image-missing`, `image-invalid`, `usage`. */
export async function pullImage(
  reference: string,
  platform: ImagePlatform,
  say: (message: string) => void,
): Promise<ImageFacts> {
  say(`pulling ${reference} for ${platform} by this machine\u2019s own network, outside the policy`);
  const { exitCode, complaint, timedOut } = await runShown(
    planImagePull(reference, platform),
    TOOL_LIMITS.pullMs,
  );
  const image = exitCode === 0 ? await findImage(reference) : null;
  if (image === null) {
    const said = timedOut ? `it took longer than ${TOOL_LIMITS.pullMs / 60_000} minutes` : complaint;
    throw explainPull(said, reference, platform);
  }
  if (!isFor(image, platform)) throw withoutPlatform(reference, platform, platformsOf(image));
  return image;
}

function isFor(image: ImageFacts, platform: ImagePlatform): boolean {
  return image.variants.some((variant) => platformOf(variant) === platform);
}

/** Null where none of it is for that platform. Raises `image-invalid`. */
export function configOf({ variants }: ImageFacts, platform: ImagePlatform): ImageConfig | null {
  const variant = variants.find((one) => platformOf(one) === platform);
  return variant === undefined ? null : parseImageConfig(variant.config, platform);
}

export function platformsOf({ variants }: ImageFacts): readonly string[] {
  return [...new Set(variants.map(platformOf))];
}

function platformOf({ architecture }: ImageVariant): string {
  return `linux/${architecture}`;
}

export function unreadable(args: readonly string[]): SandError {
  return new SandError(
    'tool-failed',
    `what \`container ${args.join(' ')}\` printed does not read`,
    'run `sand doctor --backend apple-container`',
  );
}
