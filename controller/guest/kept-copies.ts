/**
 * Protected files of a guest whose backend cannot hold them: copied before it starts, compared when it has ended, and put back
 * where they have changed. What they had become is moved aside, and told.
 */
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  type Stats,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Observation } from '../backends/backend.ts';
import { SandError } from '../errors.ts';
import type { ProtectedFile } from './protected-files.ts';
import { compareWatched, despiteRights, freeName, linkBetween, takeBack } from './watched-files.ts';

/** Settings and hooks are far below these; past them somebody keeps something else there. */
const COPY_LIMITS = { entries: 20_000, bytes: 256 * 1024 * 1024 } as const;

export interface KeptCopies {
  /** When the guest has ended. The second time nothing is left to do. */
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
  let isDone = false;
  return {
    restore() {
      if (isDone) return [];
      isDone = true;
      return [
        ...kept.flatMap(({ file, copy }) => restoreFile(file, copy)),
        ...compareWatched(watched.filter((file) => !isKept(file))),
      ];
    },
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

/** Fail closed: nobody can tell the guest's writes from the host's here, so both are undone, and both versions kept. */
function restoreFile({ path, root }: ProtectedFile, copy: string): readonly Observation[] {
  try {
    return despiteRights(root, path, () => putBack(path, root, copy));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const where = keepElsewhere(copy);
    return [
      changed(
        `${path} may have been changed by the guest and could not be put back (${why}); look at it before the host uses it; ${where}`,
      ),
    ];
  }
}

function putBack(path: string, root: string, copy: string): readonly Observation[] {
  // Never through a link that the guest put above it: what lies behind one is not the guest's.
  const link = linkBetween(root, path);
  if (link === null && isSame(copy, path)) return [];
  const made = link ?? (statOf(path) === null ? null : path);
  const aside = made === null ? null : freeName(made);
  if (made !== null && aside !== null) renameSync(made, aside);
  mkdirSync(dirname(path), { recursive: true });
  cpSync(copy, path, COPY_OPTIONS);
  return [
    changed(
      `${path} was changed while the guest ran, and is put back as it was; ${became(path, link, aside)}`,
    ),
  ];
}

/** Where the later version is, and how somebody who made it gets it back. */
function became(path: string, link: string | null, aside: string | null): string {
  const whose = 'The guest may have done that or somebody on the host, which cannot be told apart here';
  if (link !== null) return `${link} was a link, and is at ${aside}`;
  if (aside === null) return `it was removed. ${whose}: if it was you, ${takeBack(path, null)}`;
  return `what it had become is at ${aside}. ${whose}: look at it, and if it is yours, ${takeBack(path, aside)}`;
}

function changed(detail: string): Observation {
  return { code: 'protected-file-changed', detail };
}

/** The run's own folder is removed with it. */
function keepElsewhere(copy: string): string {
  try {
    const kept = join(mkdtempSync(join(tmpdir(), 'sand-before-guest-')), 'as-it-was');
    cpSync(copy, kept, COPY_OPTIONS);
    return `as it was before, it is at ${kept}`;
  } catch {
    return 'what it was before could not be kept either';
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
