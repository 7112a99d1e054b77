/** Volumes as folders below sand's cache, for guests that see folders of the host: made, listed and removed. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { GuestVolume, MountSpec } from '../backends/backend.ts';
import { removeTree } from '../images/store.ts';
import type { KeptVolume, VolumeKeeper, VolumeSurroundings } from './keeping.ts';

const VERSION = 1;
const RECORD = 'volume.json';
const DATA = 'data';
const LEAVING = '.leaving-';

/** `$XDG_CACHE_HOME/sand/volumes`, else below `~/.cache`. */
function volumesFolder({ environ, home }: VolumeSurroundings): string {
  const base = environ.XDG_CACHE_HOME ?? '';
  return join(isAbsolute(base) ? base : join(home, '.cache'), 'sand', 'volumes');
}

/** Makes what is not there yet; what the guest is then shown of the host. Idempotent. */
export function openVolumes(
  volumes: readonly GuestVolume[],
  where: VolumeSurroundings,
): readonly MountSpec[] {
  const folder = volumesFolder(where);
  return volumes.map(({ name, target, label, project }) => {
    const place = join(folder, name);
    // Fail closed: others of this host must not reach what a guest left.
    mkdirSync(place, { recursive: true, mode: 0o700 });
    const record = join(place, RECORD);
    if (!existsSync(record)) {
      const date = new Date().toISOString();
      writeFileSync(record, JSON.stringify({ version: VERSION, label, project, date }), { mode: 0o600 });
    }
    const source = join(place, DATA);
    mkdirSync(source, { recursive: true, mode: 0o755 });
    return { source, target, writable: true };
  });
}

export const FOLDER_VOLUMES: VolumeKeeper = {
  async list(where) {
    const folder = volumesFolder(where);
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names
      .map((name) => readVolume(folder, name))
      .filter((volume) => volume !== null)
      .sort((a, b) => a.project.localeCompare(b.project) || a.label.localeCompare(b.label));
  },
  async remove(name, where) {
    const folder = volumesFolder(where);
    // Renamed first: no guest begins with half of it.
    const leaving = join(folder, `${LEAVING}${name}`);
    if (existsSync(leaving)) removeTree(leaving);
    renameSync(join(folder, name), leaving);
    removeTree(leaving);
  },
};

/** Null for what is none; the record lies where no guest writes. */
function readVolume(folder: string, name: string): KeptVolume | null {
  if (!name.startsWith('sand-')) return null;
  try {
    const record: unknown = JSON.parse(readFileSync(join(folder, name, RECORD), 'utf8'));
    if (!isRecord(record)) return null;
    const { label, project, date } = record;
    return { name, label, project, date };
  } catch {
    return null;
  }
}

/** sand's own writing; held only to its version. */
function isRecord(value: unknown): value is Omit<KeptVolume, 'name'> {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === VERSION;
}
