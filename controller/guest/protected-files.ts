/**
 * What the host would later run or trust in a workspace, and the policy files in force: which of them a
 * guest gets read-only, by which mounts, and which can only be looked at again when it has ended because
 * they do not exist yet. Pure; `protected-reading.ts` gathers the states.
 */
import type { MountSpec } from '../backends/backend.ts';
import { type FileState, isWithin } from './file-state.ts';

/** A file or folder of the host at a place of the guest, there already by a mount above it. */
export interface Guard extends MountSpec {
  readonly kind: 'bind';
}

export interface ProtectedFile {
  /** On the host. */
  readonly path: string;
  /** The workspace that it lies in, without symlinks; for a policy file elsewhere its folder. */
  readonly root: string;
  readonly state: FileState;
  /** Device and number of the file or folder: another one at the same path has others. Absent where nothing is there. */
  readonly identity?: string;
  /**
   * A digest of what it holds, where the host's file system finds it by other capitals as well, so that a mount at the one spelling
   * does not hold the others; null: not known. Absent where mounts hold.
   */
  readonly content?: string | null;
  /** A policy file in force: no `--mount` makes it writable. */
  readonly always: boolean;
}

export interface ProtectionPlan {
  readonly mounts: readonly Guard[];
  /**
   * Compared when the guest has ended: what no mount can hold, absent or a symlink, and what the host may have
   * replaced, for a mount goes with the file that was there.
   */
  readonly watched: readonly ProtectedFile[];
}

/**
 * A read-only mount of a file alone is undone by renaming a folder above it, so every folder between the
 * workspace's root and the file becomes a mount point of its own (renaming one is EBUSY). A `--mount` of a
 * protected path itself, inside another mount, names it: then it stays writable.
 */
export function planProtection(
  files: readonly ProtectedFile[],
  workspaces: readonly MountSpec[],
): ProtectionPlan {
  const writable = workspaces.filter((workspace) => workspace.writable);
  const mounts = new Map<string, Guard>();
  const watched: ProtectedFile[] = [];
  for (const file of files) {
    const places = writable.filter(
      ({ source }) => isWithin(file.path, source) && (file.always || file.path !== source),
    );
    if (places.length === 0 || (!file.always && isNamed(file.path, writable))) continue;
    watched.push(file);
    if (file.state === 'file' || file.state === 'folder')
      for (const place of places) guard(file.path, place, mounts);
  }
  const ordered = [...mounts.entries()].sort(([a], [b]) => depth(a) - depth(b)).map(([, mount]) => mount);
  return { mounts: ordered, watched };
}

function isNamed(path: string, writable: readonly MountSpec[]): boolean {
  return writable.some(
    (inner) =>
      isWithin(path, inner.source) &&
      writable.some((outer) => outer.source !== inner.source && isWithin(inner.source, outer.source)),
  );
}

function guard(path: string, place: MountSpec, mounts: Map<string, Guard>): void {
  const inGuest = (at: string) => `${place.target}${at.slice(place.source.length)}`;
  for (const folder of foldersBetween(place.source, path)) {
    const target = inGuest(folder);
    if (!mounts.has(target)) mounts.set(target, { kind: 'bind', source: folder, target, writable: true });
  }
  mounts.set(inGuest(path), { kind: 'bind', source: path, target: inGuest(path), writable: false });
}

/** The folders strictly between `root` and `path`, outermost first. */
function foldersBetween(root: string, path: string): readonly string[] {
  const names = path
    .slice(root.length + 1)
    .split('/')
    .slice(0, -1);
  return names.map((_, at) => `${root}/${names.slice(0, at + 1).join('/')}`);
}

function depth(path: string): number {
  return path.split('/').length;
}
