/** The images that the emulated `tart` can pull and those that it has: a VM's files in a cache, by digest, with links from tags. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../container/failure.ts';
import { isMissing, readJson } from '../container/home.ts';
import type { TartHome } from './home.ts';
import { type Settings, vmFault } from './settings.ts';
import { type Config, type Disk, MIB, readVm, type Vm, writeVm } from './vms.ts';

/** What `registry/` holds of one reference. */
export interface Published {
  readonly config: Config;
  readonly disk: Disk;
}

export interface Reference {
  readonly host: string;
  readonly path: string;
  /** `:tag` or `@sha256:…`. */
  readonly tag: string;
}

/** What is no local name; refused where it is no reference either. */
export function parseReference(text: string): Reference {
  const match = /^([^/@:]+(?::\d+)?)\/([a-z0-9._/-]+?)(:[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})?$/.exec(text);
  if (match === null) throw new Failure(`Error: failed to parse remote name: ${text}`);
  return { host: match[1] ?? '', path: match[2] ?? '', tag: match[3] ?? ':latest' };
}

export function formatReference({ host, path, tag }: Reference): string {
  return `${host}/${path}${tag}`;
}

export function isRemote(name: string): boolean {
  return name.includes('/');
}

/** The name of the file that `registry/` keeps a reference in. */
export function publishedFile(home: TartHome, reference: Reference): string {
  return join(home.registry, `${encodeURIComponent(formatReference(reference))}.json`);
}

function cacheFolder(home: TartHome, { host, path, tag }: Reference): string {
  return join(home.images, host, path, tag.slice(1));
}

/** Null where it was never pulled. */
export function findImage(home: TartHome, reference: Reference): Vm | null {
  const folder = cacheFolder(home, reference);
  const image = readVm(formatReference(reference), folder);
  if (image !== null) utimesSync(join(folder, 'config.json'), new Date(), new Date());
  return image;
}

export function digestOf(published: Published): string {
  return createHash('sha256').update(JSON.stringify(published)).digest('hex');
}

const STEPS = 10;

/** Of a digest, only where a tag of the registry has it. */
export async function pullImage(
  home: TartHome,
  settings: Settings,
  reference: Reference,
  report: (line: string) => void,
): Promise<Vm> {
  const published = readJson<Published>(publishedFile(home, reference));
  if (published === null) {
    throw new Failure(
      `Error: unexpected HTTP response: 404, details: {"errors":[{"code":"MANIFEST_UNKNOWN"}]}`,
    );
  }
  const digest = `@sha256:${digestOf(published)}`;
  const folder = cacheFolder(home, { ...reference, tag: digest });
  if (readVm('', folder) === null) {
    report('pulling manifest...');
    report(`pulling disk (${published.disk.sizeGB * 500} MB compressed)...`);
    const slow = vmFault(settings, 'slow-pull', formatReference(reference));
    for (let at = 0; at <= STEPS; at += 1) {
      report(`${at * STEPS}%`);
      if (slow !== null) await delay((slow.ms ?? 1000) / STEPS);
    }
    report('pulling NVRAM...');
    writeVm(folder, published.config, published.disk);
  }
  if (reference.tag.startsWith(':')) linkTag(cacheFolder(home, reference), folder);
  const image = findImage(home, reference);
  if (image === null) throw new Failure(`Error: ${formatReference(reference)} vanished meanwhile`);
  return image;
}

function linkTag(link: string, folder: string): void {
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(relative(dirname(link), folder), link);
}

/** Each by its tags and by its digest, as `tart list` shows them. */
export function listImages(home: TartHome): readonly Vm[] {
  return walk(home.images).flatMap((folder) => {
    const parts = relative(home.images, folder).split('/');
    const tag = parts.pop() ?? '';
    const name = `${parts.join('/')}${tag.startsWith('sha256:') ? '@' : ':'}${tag}`;
    return readVm(name, folder) ?? [];
  });
}

function walk(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((entry) => {
        const path = join(folder, entry.name);
        if (entry.isSymbolicLink() || entry.name.startsWith('sha256:')) return [path];
        return entry.isDirectory() ? walk(path) : [];
      });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** With the digest of what its tag means now; null where it was never pulled. */
export function fullName(home: TartHome, reference: Reference): string | null {
  if (findImage(home, reference) === null) return null;
  if (reference.tag.startsWith('@')) return formatReference(reference);
  const target = readlinkSync(cacheFolder(home, reference));
  return `${reference.host}/${reference.path}@${target}`;
}

/** What a clone may take away to make room: everything but what is cloned. */
export function pruneImages(home: TartHome, kept: string): void {
  for (const { name, folder } of listImages(home))
    if (name !== kept) rmSync(folder, { recursive: true, force: true });
}

/** What an image of this system begins with, where it says nothing else. */
export function describeConfig(os: Config['os'], macAddress: string): Config {
  const isMac = os === 'darwin';
  return {
    version: 1,
    os,
    arch: 'arm64',
    cpuCountMin: isMac ? 2 : 1,
    cpuCount: 4,
    memorySizeMin: (isMac ? 4096 : 512) * MIB,
    memorySize: (isMac ? 8192 : 4096) * MIB,
    macAddress,
    diskFormat: 'raw',
    display: { width: 1024, height: 768 },
    ...(isMac ? { ecid: 'ZW11bGF0ZWQ=', hardwareModel: 'ZW11bGF0ZWQ=' } : {}),
  };
}
