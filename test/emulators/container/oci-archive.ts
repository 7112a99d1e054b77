/** Unpacks an OCI image, a layout folder or an archive of one, into a root file system, with what its layers delete. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Failure } from './failure.ts';
import { runTool } from './host-tool.ts';
import type { Image, ImageConfig } from './images.ts';

interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
}

/** Into `images/DIGEST/rootfs`; an image that is there already is not unpacked again. */
export async function readArchive(path: string, images: string): Promise<Omit<Image, 'reference'>> {
  const scratch = mkdtempSync(join(tmpdir(), 'container-image-'));
  try {
    const layout = statSync(path).isDirectory() ? path : extractArchive(path, scratch);
    return unpackLayout(layout, images);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function extractArchive(path: string, folder: string): string {
  runTool('tar', '-xf', path, '-C', folder);
  return folder;
}

function unpackLayout(layout: string, images: string): Omit<Image, 'reference'> {
  const index: { manifests: Descriptor[] } = readJsonAt(join(layout, 'index.json'));
  const [described] = index.manifests;
  if (described === undefined) throw new Failure('the archive holds no image');
  const manifest: { config: Descriptor; layers: Descriptor[]; manifests?: Descriptor[] } = readBlob(
    layout,
    described,
  );
  const [nested] = manifest.manifests ?? [];
  const own: typeof manifest = nested === undefined ? manifest : readBlob(layout, nested);
  const config: { created?: string; architecture: string; config?: ImageConfig } = readBlob(
    layout,
    own.config,
  );
  const folder = join(images, described.digest.slice('sha256:'.length));
  if (!existsSync(folder)) applyLayers(layout, own.layers, folder);
  return {
    digest: described.digest,
    created: config.created ?? '2026-01-01T00:00:00Z',
    size: own.layers.reduce((sum, { size }) => sum + size, 0),
    architecture: config.architecture,
    config: config.config ?? {},
    root: join(folder, 'rootfs'),
    layers: [],
  };
}

function readJsonAt<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function blobPath(layout: string, { digest }: Descriptor): string {
  return join(layout, 'blobs', ...digest.split(':'));
}

/** A blob that is not what its digest says is refused. */
function readBlob<T>(layout: string, descriptor: Descriptor): T {
  const bytes = readFileSync(blobPath(layout, descriptor));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  if (digest !== descriptor.digest) throw new Failure(`digest mismatch for ${descriptor.digest}`);
  return JSON.parse(bytes.toString('utf8'));
}

function applyLayers(layout: string, layers: readonly Descriptor[], folder: string): void {
  const half = `${folder}.${process.pid}`;
  const root = join(half, 'rootfs');
  mkdirSync(root, { recursive: true });
  for (const layer of layers) applyLayer(blobPath(layout, layer), root);
  try {
    renameSync(half, folder);
  } catch (error) {
    rmSync(half, { recursive: true, force: true });
    // Another call has unpacked it in the meantime.
    if (!existsSync(folder)) throw error;
  }
}

function applyLayer(blob: string, root: string): void {
  const names = runTool('tar', '-tf', blob).split('\n');
  for (const name of names.filter((path) => basename(path).startsWith('.wh.'))) {
    const gone = basename(name).slice('.wh.'.length);
    const folder = join(root, dirname(name));
    const entries = existsSync(folder) ? readdirSync(folder) : [];
    // `.wh..wh..opq` empties its folder.
    for (const entry of gone === '.wh..opq' ? entries : [gone]) {
      rmSync(join(folder, entry), { recursive: true, force: true });
    }
  }
  runTool('tar', '-xpf', blob, '--numeric-owner', '--exclude=.wh.*', '-C', root);
}
