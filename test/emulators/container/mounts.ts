/** Reads `-v`, `--mount` and `--tmpfs` by the tool's rules; named volumes are made on demand. */

import { randomUUID } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Mount } from './containers.ts';
import { Failure } from './failure.ts';
import type { Home } from './home.ts';
import { ensureVolume } from './volumes.ts';

export interface MountOptions {
  readonly volumes: readonly string[];
  readonly mounts: readonly string[];
  readonly tmpfs: readonly string[];
}

export function parseMounts(home: Home, { volumes, mounts, tmpfs }: MountOptions): readonly Mount[] {
  return [
    ...tmpfs.map((path) => tmpfsAt(path, [])),
    ...volumes.map((text) => parseVolume(home, text)),
    ...mounts.map((text) => parseMount(home, text)),
  ];
}

/** `SRC:DST[:options]`; a source with a slash is a path of the host. */
function parseVolume(home: Home, text: string): Mount {
  const parts = text.split(':');
  if (parts.length > 3 || parts.some((part) => part === ''))
    throw new Failure(`invalid volume format ${text}`);
  const [source = '', destination, options = ''] = parts;
  if (destination === undefined) return volumeAt(home, randomUUID(), requireAbsolute(source), []);
  const list = options === '' ? [] : options.split(',');
  if (!source.includes('/') && source !== '.' && source !== '..') {
    return volumeAt(home, source, requireAbsolute(destination), list);
  }
  const path = resolve(source);
  if (!existsSync(path)) throw new Failure(`path '${source}' does not exist`);
  return { type: { virtiofs: {} }, source: path, destination: requireAbsolute(destination), options: list };
}

function parseMount(home: Home, text: string): Mount {
  const values = new Map<string, string>();
  for (const part of text.split(',')) {
    const [key = '', value = '', ...rest] = part.split('=');
    if (rest.length > 0) throw new Failure(`invalid mount format ${text}`);
    values.set(KEYS[key] ?? refuseKey(key), value);
  }
  const target = requireAbsolute(values.get('target') ?? '');
  const options = values.has('readonly') ? ['ro'] : [];
  const source = values.get('source') ?? '';
  const type = values.get('type') ?? 'virtiofs';
  if (type === 'tmpfs') {
    return tmpfsAt(
      target,
      ['size', 'mode'].flatMap((key) => (values.has(key) ? [`${key}=${values.get(key)}`] : [])),
    );
  }
  if (type === 'volume') return volumeAt(home, source, target, options);
  if (type !== 'bind' && type !== 'virtiofs') throw new Failure(`invalid mount type ${type}`);
  if (!statSync(source, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Failure(`path '${source}' is not a directory`);
  }
  return { type: { virtiofs: {} }, source: resolve(source), destination: target, options };
}

const KEYS: Readonly<Record<string, string>> = {
  type: 'type',
  source: 'source',
  src: 'source',
  destination: 'target',
  dst: 'target',
  target: 'target',
  readonly: 'readonly',
  ro: 'readonly',
  size: 'size',
  mode: 'mode',
};

function refuseKey(key: string): never {
  throw new Failure(`unknown directive ${key} when parsing mount`);
}

function tmpfsAt(path: string, options: readonly string[]): Mount {
  return { type: { tmpfs: {} }, source: 'tmpfs', destination: requireAbsolute(path), options };
}

function volumeAt(home: Home, name: string, destination: string, options: readonly string[]): Mount {
  const volume = ensureVolume(home, name);
  const type = { volume: { name, format: 'ext4', cache: { on: {} }, sync: { fsync: {} } } };
  return { type, source: volume.source, destination, options };
}

function requireAbsolute(path: string): string {
  if (!path.startsWith('/')) throw new Failure(`mount destination '${path}' must be an absolute path`);
  return path;
}
