/** Who keeps the volumes of a backend's guests, for `sand volume`. Types, and how a person names one; pure. */
import { SandError } from '../errors.ts';
import { volumeName } from './volume-flag.ts';

/** One volume that sand made, in the one shape of all backends. */
export interface KeptVolume {
  /** Of all this user's volumes. */
  readonly name: string;
  /** As its project calls it. */
  readonly label: string;
  /** The folder whose it is. */
  readonly project: string;
  /** When it was made; ISO 8601, or empty. */
  readonly date: string;
}

export interface VolumeSurroundings {
  readonly home: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
}

export interface VolumeKeeper {
  list(where: VolumeSurroundings): Promise<readonly KeptVolume[]>;
  /** With all that is in it. Raises `volume-busy` while a guest has it. */
  remove(name: string, where: VolumeSurroundings): Promise<void>;
}

/** By its whole name, or by the one that it has in `project`. Raises `volume-missing`. */
export function findVolume(volumes: readonly KeptVolume[], text: string, project: string): KeptVolume {
  const name = volumeName(project, text);
  const found = volumes.find((volume) => volume.name === text) ?? volumes.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new SandError(
    'volume-missing',
    `no volume is called ${text} here`,
    'see `sand volume ls`, and give the whole name for one of another project',
  );
}
