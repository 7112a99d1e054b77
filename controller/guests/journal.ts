/**
 * What a run makes outside of its processes, written down before it is made: so that whoever finds the run dead can
 * remove it. Processes are not in it, since they end with their supervisor. Removing is idempotent.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, realpathSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { RunPlace } from '../../audit/runs.ts';

export type JournalEntry =
  /** A folder of the guest's, with all that is in it. */
  | { readonly kind: 'folder'; readonly path: string }
  /** A control group, and with it whatever is left in it. */
  | { readonly kind: 'cgroup'; readonly path: string }
  /** What a backend keeps of a guest outside of sand's processes, by the guest's name there. */
  | { readonly kind: 'guest'; readonly backend: string; readonly name: string }
  /** Of a guest before: the backend has removed what it kept. */
  | { readonly kind: 'guest-gone'; readonly backend: string; readonly name: string };

type GuestEntry = Extract<JournalEntry, { kind: 'guest' }>;

export interface Journal {
  /** On the disk when it returns. */
  note(entry: JournalEntry): void;
  close(): void;
}

const JOURNAL_NAME = 'journal.jsonl';
/** Where in the run's own folder a backend keeps what a guest needs while it lives. */
const GUEST_FOLDER = 'guest';

export function guestFolder(run: RunPlace): string {
  return join(run.directory, GUEST_FOLDER);
}

export function createJournal(run: RunPlace): Journal {
  const descriptor = openSync(join(run.directory, JOURNAL_NAME), 'a', 0o600);
  return {
    note(entry) {
      writeSync(descriptor, `${JSON.stringify(entry)}\n`);
      fsyncSync(descriptor);
    },
    close: () => closeSync(descriptor),
  };
}

/** As far as it is whole: a line that was cut names something that was not made yet. */
export function readJournal(run: RunPlace): readonly JournalEntry[] {
  let text: string;
  try {
    text = readFileSync(join(run.directory, JOURNAL_NAME), 'utf8');
  } catch {
    return [];
  }
  return text
    .split('\n')
    .slice(0, -1)
    .map(parseEntry)
    .filter((entry) => entry !== null);
}

/** Groups first, for what still runs in them may write the folders. Gives what could not be removed. */
export async function removeJournalled(run: RunPlace): Promise<readonly string[]> {
  const entries = readJournal(run);
  const pathsOf = (wanted: 'folder' | 'cgroup') =>
    entries.flatMap((entry) => (entry.kind === wanted ? [entry.path] : []));
  const groups = pathsOf('cgroup');
  const isGone = ({ backend, name }: GuestEntry) =>
    entries.some((entry) => entry.kind === 'guest-gone' && entry.backend === backend && entry.name === name);
  const guests = entries.filter((entry) => entry.kind === 'guest').filter((entry) => !isGone(entry));
  const kept = (await Promise.all(guests.map((guest) => failureOf(() => removeGuest(guest))))).flat();
  const left = groups.length === 0 ? [] : await failureOf(() => removeGroups(groups));
  const folders = pathsOf('folder').reverse();
  return [
    ...kept,
    ...left,
    ...(await Promise.all(folders.map((path) => failureOf(() => removeFolder(path, run))))).flat(),
  ];
}

/** Loaded where there are any: most guests have no limits. */
async function removeGroups(paths: readonly string[]): Promise<void> {
  const { removeCgroups } = await import('../resources/cgroup.ts');
  await removeCgroups(paths);
}

/** Loaded where there are any: guests of the linux backend end with their supervisor. */
async function removeGuest({ backend, name }: GuestEntry): Promise<void> {
  const { createBackend } = await import('../backends/registry.ts');
  await createBackend(backend).destroy({ name });
}

async function removeFolder(path: string, run: RunPlace): Promise<void> {
  if (isWithin(run, path)) await rm(path, { recursive: true, force: true });
}

async function failureOf(remove: () => Promise<void>): Promise<readonly string[]> {
  try {
    await remove();
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** Fail closed: a journal that somebody has written over, or a link in the way, must not have other folders removed. */
function isWithin(run: RunPlace, path: string): boolean {
  if (resolve(path) !== path || !path.startsWith(`${run.directory}/`)) return false;
  const parent = dirname(path);
  if (!existsSync(parent)) return false;
  const own = realpathSync.native(run.directory);
  return realpathSync.native(parent) === `${own}${parent.slice(run.directory.length)}`;
}

function parseEntry(line: string): JournalEntry | null {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return null;
    const { kind, path, backend, name }: Partial<Record<string, unknown>> = { ...value };
    if (
      (kind === 'guest' || kind === 'guest-gone') &&
      typeof backend === 'string' &&
      typeof name === 'string'
    )
      return { kind, backend, name };
    const isKnown = kind === 'folder' || kind === 'cgroup';
    return isKnown && typeof path === 'string' ? { kind, path } : null;
  } catch {
    return null;
  }
}
