/** Where the images of a backend's guests come from, as every backend gives it. Types only. */
import type { GuestImage } from '../backends/backend.ts';
import type { ImageConfig } from './config.ts';

export interface ImageFlag {
  readonly text: string;
  /** `UID[:GID]` or names, in place of the image's own; null: the image's. */
  readonly user: string | null;
  readonly cwd: string;
  readonly home: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
  readonly told: (message: string) => void;
}

export interface PreparedImage {
  readonly guest: GuestImage;
  readonly config: ImageConfig;
}

export interface BackendImages {
  /** What a guest gets where nobody names an image; null: it sees the host's own system. */
  readonly usual: string | null;
  /** Raises every error of `--image`; what it fetches or unpacks stays for the next run. */
  prepare(flag: ImageFlag): Promise<PreparedImage>;
}
