/**
 * What a `sand.yaml` says, each value with its place in the text. Types only: reading is `decode.ts`, what comes of it
 * beside flags is `merge.ts`, and whether its word counts unasked is `widening.ts`.
 */
import type { Origin } from '../../policies/model.ts';
import type { Isolation, Share } from '../backends/backend.ts';
import type { ImagePlatform } from '../images/config.ts';
import type { MountFlag } from '../run/options.ts';
import type { VolumeFlag } from '../volumes/volume-flag.ts';

export const PROJECT_FILE_NAME = 'sand.yaml';

export const RESOURCES = ['cpus', 'memory', 'pids', 'disk'] as const;
export type Resource = (typeof RESOURCES)[number];

export interface Placed<T> {
  readonly value: T;
  readonly at: Origin;
}

export interface Variable {
  readonly name: string;
  /** Null: the caller's own. */
  readonly value: string | null;
}

/** A Dockerfile and the folder that its COPY sees; null: the Dockerfile's own. */
export interface BuildText {
  readonly file: string;
  readonly context: string | null;
}

/** Paths are as written, relative to the file's folder. Null and empty lists: the file does not say. */
export interface ProjectFile {
  readonly name: Placed<string> | null;
  readonly backend: Placed<string> | null;
  /** A path where it begins with `/` or `.`, else a reference. */
  readonly image: Placed<string> | null;
  readonly platform: Placed<ImagePlatform> | null;
  readonly build: Placed<BuildText> | null;
  readonly isolation: Placed<Isolation> | null;
  readonly user: Placed<string> | null;
  readonly readOnly: Placed<boolean> | null;
  readonly policy: readonly Placed<string>[];
  readonly mounts: readonly Placed<MountFlag>[];
  readonly volumes: readonly Placed<VolumeFlag>[];
  readonly workdir: Placed<string> | null;
  readonly environment: readonly Placed<Variable>[];
  readonly shares: readonly Placed<Share>[];
  /** As `--secret` reads them: `NAME=FILE`, `NAME=env:VARIABLE`. */
  readonly secrets: readonly Placed<string>[];
  /** As `-p` reads them. */
  readonly ports: readonly Placed<string>[];
  readonly trustCa: readonly Placed<string>[];
  readonly cache: Placed<boolean> | null;
  /** As `--cpus`, `--memory`, `--pids` and `--disk` read them. */
  readonly resources: Readonly<Record<Resource, Placed<string> | null>>;
  readonly timeoutMs: Placed<number> | null;
  readonly phaseAfter: readonly Placed<string>[];
  readonly command: Placed<readonly string[]> | null;
}

/** `sand.yaml:3:5`. */
export function formatPlace({ file, line, column }: Origin): string {
  return `${file}:${line}:${column}`;
}
