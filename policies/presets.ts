/**
 * The presets and domain groups that are shipped with sand. Presets are YAML for people; what is read at start
 * is the same files as trees (`presets/trees.json`, held to the YAML by a test), which costs no YAML library.
 */
import { fileURLToPath } from 'node:url';
import type { PolicyNode } from './document-tree.ts';

/** A file of `presetDirectory()` by its name; null where it cannot be read. */
export type DataReader = (name: string) => Uint8Array | null;

export const PRESET_NAMES: readonly string[] = ['offline', 'strict', 'balanced', 'observe'];
export const PRESET_TREES = 'trees.json';
export const GROUP_DATA = 'groups.json';

export interface DomainGroup {
  /** What `group:NAME` allows, as patterns. */
  readonly usual: readonly string[];
  /** What `group:NAME/all` allows. */
  readonly hosts: readonly string[];
  /** The few hosts that a plain install needs; null where nobody has told them apart. */
  readonly minimal: readonly string[] | null;
  /** By pattern: `high: …`, `medium: …` or `low: …`. */
  readonly risk: Readonly<Record<string, string>>;
  readonly source: readonly string[];
  /** When the lists were read. */
  readonly date: string;
  /** What `group:NAME/quiet` mutes, and what nobody in a guest waits for; absent: there is no such part. */
  readonly muted?: readonly string[];
  /** By pattern, for each of `usual`, `hosts` and `muted`; absent: the sources stand for the group as a whole. */
  readonly entries?: Readonly<Record<string, GroupEntry>>;
}

/** What one host of a group rests on; the names are keys of the data's `sources`. */
export interface GroupEntry {
  /** What it is asked for, as its source says. */
  readonly for: string;
  /** Who says that it is asked. Empty only where it is inferred or seen. */
  readonly source: readonly string[];
  /** Observations of a machine of macOS that asked for it by itself. Absent: unmeasured. */
  readonly seen?: readonly string[];
  /** What no source says in these words, and from what it is inferred. */
  readonly inferred?: string;
}

/** The directory of the shipped data: beside this file in a checkout, beside the bundle in a package. */
export function presetDirectory(): string {
  return fileURLToPath(new URL('./presets/', import.meta.url));
}

/** Null where sand's own data is missing or damaged. */
export function readPreset(name: string, read: DataReader): PolicyNode | null {
  const trees = readJson(PRESET_TREES, read) as Readonly<Record<string, PolicyNode>> | null;
  return trees !== null && Object.hasOwn(trees, name) ? (trees[name] ?? null) : null;
}

/** Null where sand's own data is missing or damaged. */
export function readGroups(read: DataReader): ReadonlyMap<string, DomainGroup> | null {
  const data = readJson(GROUP_DATA, read) as {
    readonly groups?: Readonly<Record<string, DomainGroup>>;
  } | null;
  return data?.groups === undefined ? null : new Map(Object.entries(data.groups));
}

/** The shape of shipped data is held by tests, not at each start. */
function readJson(name: string, read: DataReader): unknown {
  const bytes = read(name);
  if (bytes === null) return null;
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}
