/** Where the images of a backend's guests come from, and who keeps them, as every backend gives it. Types only. */
import type { GuestImage } from '../backends/backend.ts';
import type { ImageConfig, ImagePlatform } from './config.ts';

/** What of the caller whoever fetches, builds or unpacks an image goes by. */
export interface ImageSurroundings {
  readonly cwd: string;
  readonly home: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
  /** For `--verbose`. */
  readonly told: (message: string) => void;
  /** For what a person must see as it happens. */
  readonly say: (message: string) => void;
}

interface ImageWishes extends ImageSurroundings {
  /** `UID[:GID]` or names, in place of the image's own; null: the image's. */
  readonly user: string | null;
  /** Null: that of this host. */
  readonly platform: ImagePlatform | null;
}

export interface ImageFlag extends ImageWishes {
  readonly text: string;
}

/** A Dockerfile that somebody has consented to, by what it says. */
export interface BuildPlan {
  /** Absolute and real: for people, and for the log. */
  readonly path: string;
  readonly text: string;
  /** Absolute, on the host: what COPY and ADD see. Its content is nobody's word. */
  readonly context: string;
}

export interface BuildFlag extends ImageWishes {
  readonly build: BuildPlan;
  /** Whether it is built although nothing has changed. */
  readonly anew: boolean;
}

export interface ImageNotice {
  readonly code: string;
  readonly detail: string;
}

export interface PreparedImage {
  readonly guest: GuestImage;
  readonly config: ImageConfig;
  /** For the log and for the person. */
  readonly notices: readonly ImageNotice[];
}

export interface BackendImages {
  /** What a guest gets where nobody names an image; null: it sees the host's own system. */
  readonly usual: string | null;
  /** Raises every error of `--image`; what it fetches or unpacks stays for the next run. */
  prepare(flag: ImageFlag): Promise<PreparedImage>;
  /** Builds where the inputs have changed since the last time; null: this backend has no builder. */
  readonly build: ((flag: BuildFlag) => Promise<PreparedImage>) | null;
}

/** One image that is kept on this machine, in the one shape of all backends. */
export interface KeptImage {
  readonly name: string;
  /** With `sha256:`. */
  readonly digest: string;
  readonly platforms: readonly string[];
  /** When it was unpacked, or made, by its keeper's word; ISO 8601, or empty. */
  readonly date: string;
  /** Null where none of it is for this machine. */
  readonly config: ImageConfig | null;
  /** Folder of its files; null where they are no folder. */
  readonly root: string | null;
}

/** Who keeps the images of a backend, for `sand image`. */
export interface ImageKeeper {
  list(where: ImageSurroundings): Promise<readonly KeptImage[]>;
  /** From its registry, also where an older one of that name is kept. */
  pull(name: string, platform: ImagePlatform | null, where: ImageSurroundings): Promise<KeptImage>;
  /** Of an archive or whatever else is on this machine. */
  bringIn(text: string, where: ImageSurroundings): Promise<readonly KeptImage[]>;
  /** By names, or the beginnings of digests. Nothing is removed unless all of them are known. */
  remove(texts: readonly string[], where: ImageSurroundings): Promise<readonly KeptImage[]>;
}
