/**
 * Images of guests of Apple's `container`: the tool keeps them by name, and pulls what it does not have. A pull goes
 * by the host's own network, outside any policy.
 */
import { SandError } from '../../errors.ts';
import { type ImageConfig, invalid, parseImageConfig } from '../../images/config.ts';
import type { BackendImages, ImageFlag, PreparedImage } from '../../images/prepared.ts';
import { planImageEnvironment } from '../../images/run-words.ts';
import { startGuestProcess } from '../../process/runner.ts';
import { planImageInspect, planImagePull } from './argv.ts';
import { type ImageFacts, parseImages } from './parse.ts';
import { requireTool } from './readiness.ts';
import { askContainer, containerEnvironment, failure, TOOL, TOOL_LIMITS } from './tool.ts';

/** Small, with a shell and a package manager; people name what their project needs. */
export const USUAL_IMAGE = 'docker.io/library/debian:stable-slim';

/** What the tool calls the processor of this host, which is that of its machines. */
const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : 'arm64';
const PLATFORM = `linux/${ARCHITECTURE}` as const;

export const APPLE_IMAGES: BackendImages = { usual: USUAL_IMAGE, prepare: prepareImage };

async function prepareImage({ text, user, told }: ImageFlag): Promise<PreparedImage> {
  requireReference(text);
  const image = (await findImage(text)) ?? (await pullImage(text, told));
  const config = configOf(image, text);
  const guest = {
    kind: 'named',
    name: text,
    digest: image.digest,
    user: user ?? config.user,
    environment: planImageEnvironment(config),
  } as const;
  return { guest, config };
}

/** Of what the tool takes for a name; whether there is such an image it says itself. Raises `usage`. */
function requireReference(text: string): void {
  if (/^[A-Za-z0-9][\w.:/@-]{0,511}$/.test(text)) return;
  throw new SandError(
    'usage',
    `--image ${text}: no name of an image in a registry`,
    'write for example --image docker.io/library/node:24',
  );
}

/** Null where the tool has none of that name. */
async function findImage(reference: string): Promise<ImageFacts | null> {
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

/** With the tool's own progress on the standard error. */
async function pullImage(reference: string, told: (message: string) => void): Promise<ImageFacts> {
  told(`pulling ${reference} by the host\u2019s own network`);
  const pull = await startGuestProcess(TOOL, planImagePull(reference, PLATFORM), {
    environment: containerEnvironment(),
    stdio: ['ignore', 'ignore', 'inherit'],
    descriptors: [],
    sharesSession: true,
  });
  const { exitCode } = await pull.ended;
  const image = exitCode === 0 ? await findImage(reference) : null;
  if (image !== null) return image;
  throw new SandError(
    'image-missing',
    `${reference} is not on this machine and could not be pulled`,
    'read what container printed above; check the name, or sign in: container registry login HOST',
  );
}

function configOf({ variants }: ImageFacts, name: string): ImageConfig {
  const variant = variants.find(({ architecture }) => architecture === ARCHITECTURE) ?? variants[0];
  if (variant === undefined) throw invalid(`${name} has nothing for Linux`);
  const platform = variant.architecture === 'amd64' ? 'linux/amd64' : 'linux/arm64';
  return parseImageConfig(variant.config, platform);
}

function unreadable(args: readonly string[]): SandError {
  return new SandError(
    'tool-failed',
    `what \`container ${args.join(' ')}\` printed does not read`,
    'run `sand doctor --backend apple-container`',
  );
}
