/**
 * Protected files of a guest whose backend cannot hold them: copied before it starts, compared when it has ended, and put back
 * where they have changed. What they had become is moved aside, and told.
 */
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  type Stats,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Observation } from '../backends/backend.ts';
import { SandError } from '../errors.ts';
import type { ProtectedFile } from './protected-files.ts';
import { compareWatched, freeName, linkBetween } from './watched-files.ts';

/** Settings and hooks are far below these; past them somebody keeps something else there. */
const COPY_LIMITS = { entries: 20_000, bytes: 256 * 1024 * 1024 } as const;

export interface KeptCopies {
  /** When the guest has ended; once. */
  restore(): readonly Observation[];
}

/** `folder` is the run's own and not there yet. Raises `workspace-refused` for more than is copied. */
export function keepCopies(watched: readonly ProtectedFile[], folder: string): KeptCopies {
  mkdirSync(folder, { mode: 0o700 });
  const isKept = ({ state }: ProtectedFile) => state === 'file' || state === 'folder';
  const budget = { ...COPY_LIMITS };
  const kept = watched.filter(isKept).map((file, at) => {
    spend(file.path, budget);
    const copy = join(folder, `${at}`);
    cpSync(file.path, copy, COPY_OPTIONS);
    return { file, copy };
  });
  return {
    restore: () => [
      ...kept.flatMap(({ file, copy }) => restoreFile(file, copy)),
      ...compareWatched(watched.filter((file) => !isKept(file))),
    ],
  };
}

/** Links are copied as they are, and never followed. */
const COPY_OPTIONS = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true } as const;

/** Fail closed: what could not be put back is not given to a guest. */
function spend(path: string, budget: { entries: number; bytes: number }): void {
  const stat = lstatSync(path);
  budget.entries -= 1;
  budget.bytes -= stat.isFile() ? stat.size : 0;
  const isPlain = stat.isFile() || stat.isDirectory() || stat.isSymbolicLink();
  if (!isPlain || budget.entries < 0 || budget.bytes < 0) {
    throw new SandError(
      'workspace-refused',
      isPlain
        ? `${path} and what else is protected is more than sand keeps copies of`
        : `${path} is protected, and is neither a file nor a folder, of which copies can be kept`,
      'mount the folder read-only with :ro, or move that out of it',
    );
  }
  if (stat.isDirectory()) for (const name of readdirSync(path)) spend(join(path, name), budget);
}

function restoreFile({ path, root }: ProtectedFile, copy: string): readonly Observation[] {
  try {
    // Never through a link that the guest put above it: what lies behind one is not the guest's.
    const link = linkBetween(root, path);
    if (link === null && isSame(copy, path)) return [];
    const asides = [link, link === null && statOf(path) !== null ? path : null].flatMap((made) => {
      if (made === null) return [];
      const aside = freeName(made);
      renameSync(made, aside);
      return [aside];
    });
    mkdirSync(dirname(path), { recursive: true });
    cpSync(copy, path, COPY_OPTIONS);
    const became = asides.length === 0 ? 'it was removed' : `what it had become is at ${asides.join(', ')}`;
    return [
      {
        code: 'protected-file-changed',
        detail: `${path} was changed while the guest ran, and is put back as it was; ${became}`,
      },
    ];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [
      {
        code: 'protected-file-changed',
        detail: `${path} may have been changed by the guest and could not be put back (${why}); look at it before the host uses it`,
      },
    ];
  }
}

/** Kind, right, content and what is below; times and owners are nobody's concern. */
function isSame(copy: string, path: string): boolean {
  const [before, now] = [lstatSync(copy), statOf(path)];
  if (now === null || kindOf(before) !== kindOf(now)) return false;
  if (before.isSymbolicLink()) return readlinkSync(copy) === readlinkSync(path);
  if ((before.mode & 0o7777) !== (now.mode & 0o7777)) return false;
  if (before.isFile()) return before.size === now.size && readFileSync(copy).equals(readFileSync(path));
  if (!before.isDirectory()) return true;
  const names = [copy, path].map((folder) => readdirSync(folder).sort());
  return (
    names[0]?.length === names[1]?.length &&
    (names[0] ?? []).every(
      (name, at) => name === names[1]?.[at] && isSame(join(copy, name), join(path, name)),
    )
  );
}

function kindOf(stat: Stats): number {
  return stat.mode & 0o170_000;
}

function statOf(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}
