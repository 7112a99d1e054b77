/** The images that the emulator has and those that it can pull: a root file system, its configuration, and a digest. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from './failure.ts';
import { type Home, isMissing, readJson, writeJson } from './home.ts';
import { readArchive } from './oci-archive.ts';
import { isoDate } from './output.ts';
import { faultsNamed, type Settings } from './settings.ts';

/** As an OCI image's own `config`. */
export interface ImageConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
}

export interface Image {
  readonly reference: string;
  /** Of its index, with `sha256:`. */
  readonly digest: string;
  readonly created: string;
  readonly size: number;
  readonly architecture: string;
  readonly config: ImageConfig;
  /** `/` is the host's own system, without what is somebody's. */
  readonly root: string;
  /** What was built on top of the root, the last layer first. */
  readonly layers: readonly string[];
}

/** What `registry/` holds of one reference: a root, or an archive to be unpacked. */
export interface RegistryEntry {
  readonly reference: string;
  readonly root?: string;
  readonly archive?: string;
  readonly config?: ImageConfig;
}

const BASE_DATE = '2026-01-01T00:00:00Z';

/** `alpine` is `docker.io/library/alpine:latest`. */
export function normalizeReference(text: string): string {
  const match = /^([^@]+?)(?::([\w][\w.-]{0,127}))?(@sha256:[0-9a-f]{64})?$/.exec(text);
  const name = match?.[1] ?? '';
  if (match === null || !/^[a-z0-9]([a-z0-9._/-]|:\d)*$/.test(name)) {
    throw new Failure(`cannot parse image reference '${text}'`);
  }
  const [first = '', ...rest] = name.split('/');
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const path = hasHost ? name : `docker.io/${rest.length > 0 ? name : `library/${name}`}`;
  const tag = match[2] ?? (match[3] === undefined ? 'latest' : null);
  return `${path}${tag === null ? '' : `:${tag}`}${match[3] ?? ''}`;
}

/** How messages and tables name it. */
export function shortReference(reference: string): string {
  return reference.replace(/^docker\.io\/(library\/)?/, '');
}

function fileOf(home: Home, reference: string): string {
  return join(home.images, `${createHash('sha256').update(reference).digest('hex')}.json`);
}

export function findImage(home: Home, text: string): Image | null {
  return readJson<Image>(fileOf(home, normalizeReference(text)));
}

export function requireImage(home: Home, text: string): Image {
  const image = findImage(home, text);
  if (image === null) throw new Failure(`image ${normalizeReference(text)} not found`);
  return image;
}

export function listImages(home: Home): readonly Image[] {
  try {
    return readdirSync(home.images)
      .filter((name) => name.endsWith('.json'))
      .flatMap((name) => readJson<Image>(join(home.images, name)) ?? [])
      .sort((a, b) => (a.reference < b.reference ? -1 : 1));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

export function saveImage(home: Home, image: Image): void {
  writeJson(fileOf(home, image.reference), image);
}

/** Its files go with the last name that it has. */
export function deleteImage(home: Home, image: Image): void {
  rmSync(fileOf(home, image.reference), { force: true });
  if (listImages(home).some(({ digest }) => digest === image.digest)) return;
  rmSync(join(home.images, image.digest.slice('sha256:'.length)), { recursive: true, force: true });
}

/** Null where the registry has no such image. `report` gets lines of progress. */
export async function pullImage(
  home: Home,
  settings: Settings,
  text: string,
  report: (line: string) => void,
): Promise<Image | null> {
  const reference = normalizeReference(text);
  const entry = readJson<RegistryEntry>(join(home.registry, registryName(reference)));
  if (entry === null) return null;
  const [slow] = faultsNamed(settings, 'slow-pull');
  const steps = slow === undefined ? 1 : 10;
  for (let at = 1; at <= steps; at += 1) {
    report(`[1/2] Fetching image ${Math.round((at / steps) * 100)}%`);
    if (slow !== undefined) await delay((slow.ms ?? 1000) / steps);
  }
  report('[2/2] Unpacking image 100%');
  const image = await unpack(home, entry);
  saveImage(home, image);
  return image;
}

/** The name of the file that `registry/` keeps a reference in. */
export function registryName(reference: string): string {
  return `${encodeURIComponent(reference)}.json`;
}

async function unpack(home: Home, entry: RegistryEntry): Promise<Image> {
  if (entry.archive !== undefined) {
    return { ...(await readArchive(entry.archive, home.images)), reference: entry.reference };
  }
  return describeRoot(entry.reference, entry.root ?? '/', entry.config ?? {});
}

/** The digest is that of what describes it: the same root and configuration give the same. */
export function describeRoot(reference: string, root: string, config: ImageConfig): Image {
  if (!existsSync(root)) throw new Failure(`content of ${reference} is missing`);
  const digest = createHash('sha256')
    .update(JSON.stringify([root, config]))
    .digest('hex');
  const architecture = hostArchitecture();
  return {
    reference,
    digest: `sha256:${digest}`,
    created: BASE_DATE,
    size: 4096,
    architecture,
    config,
    root,
    layers: [],
  };
}

export function hostArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

/** What `image ls` and `image inspect` print of it. */
export function imageResource(image: Image): unknown {
  const { architecture } = image;
  const platform = { os: 'linux', architecture, ...(architecture === 'arm64' ? { variant: 'v8' } : {}) };
  const { config, created, digest, size } = image;
  return {
    id: digest.slice('sha256:'.length),
    configuration: { name: image.reference, creationDate: created, descriptor: descriptorOf(image) },
    variants: [
      {
        platform,
        digest: `sha256:${createHash('sha256').update(`variant ${digest}`).digest('hex')}`,
        size,
        config: {
          created,
          architecture,
          os: 'linux',
          config,
          rootfs: { type: 'layers', diff_ids: [digest] },
          history: [{ created, created_by: 'emulator' }],
        },
      },
    ],
  };
}

export function descriptorOf({ digest, size }: Image): { mediaType: string; digest: string; size: number } {
  return { mediaType: 'application/vnd.oci.image.index.v1+json', digest, size };
}

export function nowDate(): string {
  return isoDate(new Date());
}
