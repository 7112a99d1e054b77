/** Builds images for tests, byte by byte and without any tool: layers as tar files of any content, and OCI layouts and archives of them. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Member {
  readonly name: string;
  readonly type?: 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'folder' | 'fifo';
  readonly content?: string | Buffer;
  /** Of a link. */
  readonly to?: string;
  readonly mode?: number;
  readonly uid?: number;
}

const TYPES = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  folder: '5',
  fifo: '6',
} as const;

/** A tar file of the ustar form. */
export function tar(members: readonly Member[]): Buffer {
  const parts = members.flatMap((member) => {
    const content = Buffer.from(member.content ?? '');
    const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
    return [header(member, content.length), content, padding];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function header({ name, type = 'file', to = '', mode, uid = 0 }: Member, bytes: number): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
  block.write(name, 0, 100, 'latin1');
  octal(mode ?? (type === 'folder' ? 0o755 : 0o644), 100, 8);
  octal(uid, 108, 8);
  octal(uid, 116, 8);
  octal(bytes, 124, 12);
  octal(0, 136, 12);
  block.write('        ', 148, 'latin1');
  block.write(TYPES[type], 156, 'latin1');
  block.write(to, 157, 100, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  octal(1, 329, 8);
  octal(3, 337, 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

export interface ImageParts {
  readonly layers: readonly (readonly Member[])[];
  readonly config?: Readonly<Record<string, unknown>>;
  /** Beside `config` in the configuration. */
  readonly whole?: Readonly<Record<string, unknown>>;
}

/** The files of an OCI image layout, by path. */
export function layoutFiles({ layers, config = {}, whole = {} }: ImageParts): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>();
  const blob = (content: Buffer, mediaType: string) => {
    const hex = createHash('sha256').update(content).digest('hex');
    files.set(`blobs/sha256/${hex}`, content);
    return {
      mediaType: `application/vnd.oci.image.${mediaType}`,
      digest: `sha256:${hex}`,
      size: content.length,
    };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const packed = layers.map((members) => blob(tar(members), 'layer.v1.tar'));
  const described = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: packed.map(({ digest }) => digest) },
    ...whole,
  };
  const manifest = { schemaVersion: 2, config: blob(json(described), 'config.v1+json'), layers: packed };
  const index = { schemaVersion: 2, manifests: [blob(json(manifest), 'manifest.v1+json')] };
  files.set('index.json', json(index));
  files.set('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  return files;
}

export function ociArchive(parts: ImageParts): Buffer {
  // skopeo gives a folder that it has to make by itself to root, which an ordinary user cannot.
  const folders = ['blobs/', 'blobs/sha256/'].map((name): Member => ({ name, type: 'folder' }));
  return tar([...folders, ...[...layoutFiles(parts)].map(([name, content]) => ({ name, content }))]);
}

export function writeLayout(folder: string, parts: ImageParts): void {
  mkdirSync(join(folder, 'blobs', 'sha256'), { recursive: true });
  for (const [name, content] of layoutFiles(parts)) writeFileSync(join(folder, name), content);
}

/** As `docker save` writes it. */
export function dockerArchive(parts: ImageParts): Buffer {
  const files = layoutFiles(parts);
  const blobs = [...files].filter(([name]) => name.startsWith('blobs/'));
  const layers = parts.layers.map((members, at) => ({ name: `layer${at}.tar`, content: tar(members) }));
  const config = blobs.find(([, content]) => content.includes('"rootfs"'))?.[1] ?? Buffer.alloc(0);
  const id = createHash('sha256').update(config).digest('hex');
  const manifest = [
    { Config: `${id}.json`, RepoTags: ['test:latest'], Layers: layers.map(({ name }) => name) },
  ];
  return tar([
    { name: `${id}.json`, content: config },
    ...layers,
    { name: 'manifest.json', content: JSON.stringify(manifest) },
  ]);
}
