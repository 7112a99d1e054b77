/**
 * Reads images with the distribution's own tools: skopeo copies and checks every digest, umoci unpacks as the
 * caller, podman hands out what its store has. None of them is let near a network; what they leave is sealed
 * into the store.
 */
import { type BigIntStats, lstatSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SandError } from '../errors.ts';
import { runTool, type ToolOutput } from '../process/runner.ts';
import { type ImagePlatform, invalid, NO_CONFIG, parseImageConfig } from './config.ts';
import { parseIndex, parseManifest } from './layout.ts';
import { IMAGE_LIMITS } from './limits.ts';
import { type ImageReference, pullHint } from './reference.ts';
import { sealTree } from './seal.ts';
import {
  createUnpacking,
  ROOT,
  readSource,
  readStoredImage,
  removeTree,
  type StoredImage,
  type Unpacking,
  writeSource,
} from './store.ts';

/** The name that the image has while it is read. */
const TAG = 'sand';
const COMPLAINT = 400;

export interface ImageRequest {
  readonly reference: ImageReference;
  /** As the caller wrote it. */
  readonly text: string;
  /** Of `imagesFolder`. */
  readonly folder: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
  readonly told: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** Unpacks what is not unpacked yet. Raises `image-missing`, `image-invalid`, `image-failed` and `tool-missing`. */
export async function openImage(request: ImageRequest): Promise<StoredImage> {
  const { reference, folder, text } = request;
  if (reference.kind === 'directory') {
    // It is used where it lies.
    return {
      digest: '',
      name: text,
      unpackedAt: '',
      config: NO_CONFIG,
      root: realpathSync.native(reference.path),
    };
  }
  const source = await sourceOf(reference, request);
  const known = readSource(folder, source);
  if (known !== null) return known;
  const unpacking = createUnpacking(folder);
  try {
    const image = await unpack(reference, unpacking, request);
    writeSource(folder, source, image.digest);
    return image;
  } catch (error) {
    unpacking.discard();
    throw error;
  }
}

type Packed = Exclude<ImageReference, { readonly kind: 'directory' }>;

/** All of a source that changes when its image does. */
async function sourceOf(reference: Packed, request: ImageRequest): Promise<string> {
  if (reference.kind === 'store') return `store:${await storeId(reference.name, request)}`;
  const { kind, path, name } = reference;
  const telling = kind === 'oci-layout' ? join(path, 'index.json') : path;
  const { dev, ino, size, mtimeNs, ctimeNs } = statOrRefuse(telling);
  return JSON.stringify([kind, path, name, ...[dev, ino, size, mtimeNs, ctimeNs].map(String)]);
}

function statOrRefuse(path: string): BigIntStats {
  try {
    return statSync(path, { bigint: true });
  } catch {
    throw new SandError(
      'image-missing',
      `${path} does not exist`,
      'name an archive or a layout that is there',
    );
  }
}

async function storeId(name: string, request: ImageRequest): Promise<string> {
  const { exitCode, stdout } = await podman(['image', 'inspect', '--format', '{{.Id}}', '--', name], request);
  const id = stdout.trim();
  if (exitCode === 0 && /^[0-9a-f]{64}$/.test(id)) return id;
  throw new SandError('image-missing', `podman has no image ${name} on this machine`, pullHint(name));
}

async function unpack(reference: Packed, unpacking: Unpacking, request: ImageRequest): Promise<StoredImage> {
  const { place } = unpacking;
  const { text, folder, told } = request;
  const layout = join(place, 'layout');
  told(`reading image ${text}`);
  const from =
    reference.kind === 'store' ? await savedImage(reference.name, place, request) : archiveOf(reference);
  requireSuccess(await skopeo(from, layout, place, request), 'skopeo', text);
  const manifest = readText(
    join(layout, 'blobs', 'sha256', parseIndex(readText(join(layout, 'index.json')))),
  );
  const digest = parseManifest(manifest);
  const config = parseImageConfig(readText(join(layout, 'blobs', 'sha256', digest)), machine());
  const stored = readStoredImage(folder, digest);
  if (stored !== null) {
    unpacking.discard();
    return stored;
  }
  told(`unpacking image ${digest}`);
  const unpacked = await umoci(`${layout}:${TAG}`, join(place, ROOT), request);
  requireSuccess(unpacked, 'umoci', text);
  removeTree(layout);
  sealTree(join(place, ROOT));
  return unpacking.keep(digest, text, config);
}

function archiveOf(reference: Exclude<Packed, { readonly kind: 'store' }>): string {
  const { kind, path, name } = reference;
  return `${kind === 'oci-layout' ? 'oci' : kind}:${path}${name === null ? '' : `:${name}`}`;
}

async function savedImage(name: string, place: string, request: ImageRequest): Promise<string> {
  const path = join(place, 'saved.tar');
  const saved = await podman(
    ['save', '--quiet', '--format', 'oci-archive', '--output', path, '--', name],
    request,
  );
  requireSuccess(saved, 'podman', name);
  return `oci-archive:${path}`;
}

/** It copies blob by blob and holds each to its digest. The policy that it leaves out is about who signed an image. */
function skopeo(from: string, layout: string, place: string, request: ImageRequest): Promise<ToolOutput> {
  const args = ['--insecure-policy', '--tmpdir', place, 'copy', '--quiet', from, `oci:${layout}:${TAG}`];
  return run('skopeo', args, request);
}

/** As the caller alone, also where that is root: files belong to the caller, and no device is made. */
function umoci(image: string, root: string, request: ImageRequest): Promise<ToolOutput> {
  return run('umoci', ['raw', 'unpack', '--rootless', '--image', image, root], request);
}

function podman(args: readonly string[], request: ImageRequest): Promise<ToolOutput> {
  const { HOME, XDG_RUNTIME_DIR, XDG_DATA_HOME, XDG_CONFIG_HOME } = request.environ;
  const environment = defined({ HOME, XDG_RUNTIME_DIR, XDG_DATA_HOME, XDG_CONFIG_HOME });
  return run('podman', args, request, environment);
}

function defined(variables: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

async function run(
  tool: string,
  args: readonly string[],
  { signal }: ImageRequest,
  environment: Readonly<Record<string, string>> = {},
): Promise<ToolOutput> {
  const options = {
    timeoutMs: IMAGE_LIMITS.readMs,
    environment,
    ...(signal === undefined ? {} : { signal }),
  };
  try {
    return await runTool(tool, args, options);
  } catch (error) {
    if (!(error instanceof SandError) || error.code !== 'tool-missing') throw error;
    const packages = tool === 'podman' ? 'podman' : 'skopeo umoci';
    throw new SandError(
      'tool-missing',
      `${tool} is not installed, and reads images`,
      `install it with your package manager, for example: sudo apt-get install ${packages}`,
      { details: { tool }, cause: error },
    );
  }
}

function requireSuccess(output: ToolOutput, tool: string, text: string): void {
  if (output.exitCode === 0) return;
  const why = output.timedOut ? 'it took too long' : output.stderr.trim().slice(-COMPLAINT);
  throw new SandError(
    'image-failed',
    `${tool} cannot read ${text}: ${why || `it ended with ${output.exitCode}`}`,
    'look at the archive with skopeo inspect, and have it written anew if it is damaged',
    { details: { tool, exitCode: output.exitCode } },
  );
}

/** Bounded, and of sand's own folder; a link there would be the tool's own doing. */
function readText(path: string): string {
  if (lstatSync(path).size > IMAGE_LIMITS.configBytes) throw invalid('a description in it is too long');
  return readFileSync(path, 'utf8');
}

function machine(): ImagePlatform {
  return process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64';
}
