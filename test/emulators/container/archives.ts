/** `image save` and `image load`: OCI archives of images that have files of their own. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure, notEmulated } from './failure.ts';
import type { Home } from './home.ts';
import { runTool } from './host-tool.ts';
import { type Image, normalizeReference, saveImage } from './images.ts';
import { readArchive } from './oci-archive.ts';

const NAME = 'io.containerd.image.name';

export function saveArchive(image: Image, output: string): void {
  if (image.root === '/') throw notEmulated("an archive of the host's own system");
  const layout = mkdtempSync(join(tmpdir(), 'container-save-'));
  try {
    mkdirSync(join(layout, 'blobs', 'sha256'), { recursive: true });
    const layers = [...image.layers, image.root].reverse().map((folder) => putLayer(layout, folder));
    const { architecture, config, created } = image;
    const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: putJson(layout, 'application/vnd.oci.image.config.v1+json', {
        architecture,
        os: 'linux',
        created,
        config,
        rootfs,
      }),
      layers,
    };
    const described = {
      ...putJson(layout, manifest.mediaType, manifest),
      annotations: { [NAME]: image.reference },
    };
    writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [described] }));
    writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    runTool('tar', '-cf', output, '-C', layout, '.');
  } finally {
    rmSync(layout, { recursive: true, force: true });
  }
}

function putLayer(layout: string, folder: string) {
  const file = join(layout, 'layer.tar');
  runTool('tar', '--numeric-owner', '-cf', file, '-C', folder, '.');
  return putBlob(layout, 'application/vnd.oci.image.layer.v1.tar', readFileSync(file));
}

function putJson(layout: string, mediaType: string, value: unknown) {
  return putBlob(layout, mediaType, Buffer.from(JSON.stringify(value)));
}

function putBlob(layout: string, mediaType: string, bytes: Buffer) {
  const hex = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(layout, 'blobs', 'sha256', hex), bytes);
  rmSync(join(layout, 'layer.tar'), { force: true });
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}

/** Under the name that the archive gives it. */
export async function loadArchive(home: Home, file: string): Promise<Image> {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) throw new Failure(`file does not exist ${file}`);
  const text = runTool('tar', '-xOf', file, '--wildcards', '*index.json');
  const index: { manifests: { annotations?: Record<string, string> }[] } = JSON.parse(text);
  const annotations = index.manifests[0]?.annotations ?? {};
  const name = annotations[NAME] ?? annotations['org.opencontainers.image.ref.name'];
  if (name === undefined) throw new Failure('the archive holds no name');
  const image = { ...(await readArchive(file, home.images)), reference: normalizeReference(name) };
  saveImage(home, image);
  return image;
}
