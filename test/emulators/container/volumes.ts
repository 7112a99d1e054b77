/** Named volumes: a folder of files each, which the guest sees as a file system. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { listContainers } from './containers.ts';
import { Failure } from './failure.ts';
import { type Home, isMissing, isPresent, readJson, writeJson } from './home.ts';
import { nowDate } from './images.ts';

export interface Volume {
  readonly name: string;
  readonly source: string;
  readonly creationDate: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly sizeInBytes?: number;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

export function createVolume(
  home: Home,
  name: string,
  labels: Readonly<Record<string, string>>,
  sizeInBytes?: number,
): Volume {
  if (!NAME.test(name)) throw new Failure(`invalid volume name '${name}'`);
  mkdirSync(home.volumes, { recursive: true });
  try {
    mkdirSync(join(home.volumes, name));
  } catch (error) {
    if (isPresent(error)) throw new Failure(`volume '${name}' already exists`);
    throw error;
  }
  const source = join(home.volumes, name, 'data');
  mkdirSync(source);
  // As whatever makes an ext4 file system does.
  mkdirSync(join(source, 'lost+found'), { mode: 0o700 });
  const volume = {
    name,
    source,
    creationDate: nowDate(),
    labels,
    ...(sizeInBytes === undefined ? {} : { sizeInBytes }),
  };
  writeJson(join(home.volumes, name, 'volume.json'), volume);
  return volume;
}

export function findVolume(home: Home, name: string): Volume | null {
  return NAME.test(name) ? readJson<Volume>(join(home.volumes, name, 'volume.json')) : null;
}

export function ensureVolume(home: Home, name: string): Volume {
  return findVolume(home, name) ?? createVolume(home, name, {});
}

export function listVolumes(home: Home): readonly Volume[] {
  try {
    return readdirSync(home.volumes).flatMap((name) => findVolume(home, name) ?? []);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

export function deleteVolume(home: Home, name: string): void {
  if (findVolume(home, name) === null) throw new Failure(`volume '${name}' not found`);
  const users = listContainers(home).filter(({ configuration }) =>
    configuration.mounts.some(({ type }) => 'volume' in type && type.volume.name === name),
  );
  if (users.length > 0)
    throw new Failure(
      `volume '${name}' is currently in use and cannot be accessed by another container, or deleted.`,
    );
  rmSync(join(home.volumes, name), { recursive: true, force: true });
}

export function volumeResource({ name, source, creationDate, labels, sizeInBytes }: Volume): unknown {
  const configuration = {
    name,
    driver: 'local',
    format: 'ext4',
    source,
    creationDate,
    labels,
    options: {},
    sizeInBytes,
  };
  return { id: name, configuration };
}
