/**
 * What a run makes outside of its processes, written down before it is made: so that whoever finds the run dead can
 * remove it. Processes are not in it, since they end with their supervisor. Removing is idempotent.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { RunPlace } from '../../audit/runs.ts';

export type JournalEntry =
  /** A folder of the guest's, with all that is in it. */
  { readonly kind: 'folder'; readonly path: string };

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

/** The last that was made first. Gives what could not be removed. */
export function removeJournalled(run: RunPlace): readonly string[] {
  return [...readJournal(run)].reverse().flatMap((entry) => remove(entry, run));
}

function remove({ path }: JournalEntry, run: RunPlace): readonly string[] {
  try {
    if (!isWithin(run, path)) return [];
    rmSync(path, { recursive: true, force: true });
    return [];
  } catch (error) {
    return [`${path}: ${error instanceof Error ? error.message : error}`];
  }
}

/** Fail closed: a journal that somebody has written over, or a link in the way, must not have other folders removed. */
function isWithin(run: RunPlace, path: string): boolean {
  if (resolve(path) !== path || !path.startsWith(`${run.directory}/`)) return false;
  const parent = dirname(path);
  if (!existsSync(parent)) return false;
  const own = realpathSync(run.directory);
  return realpathSync(parent) === `${own}${parent.slice(run.directory.length)}`;
}

function parseEntry(line: string): JournalEntry | null {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return null;
    const { kind, path }: Partial<Record<string, unknown>> = { ...value };
    return kind === 'folder' && typeof path === 'string' ? { kind, path } : null;
  } catch {
    return null;
  }
}
