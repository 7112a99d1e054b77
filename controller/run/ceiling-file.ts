/**
 * Whose word a ceiling is: one that others can write, or put another in the place of, says nothing about what its owner wants, and is
 * refused. What it says is for the compiler.
 */
import { realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { SandError } from '../errors.ts';

/** Of the machine's owner. */
export const CEILING_PATH = '/etc/sand/ceiling.yaml';

const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
/** In a folder of this kind others can add files, and replace none. */
const STICKY = 0o1000;
/** How Linux shows an owner who has no number in this user namespace, as root has none in a guest of sand. */
const UNMAPPED = 65_534;

export type OwnerFacts = Pick<Stats, 'mode' | 'uid' | 'gid'>;

export interface Trouble {
  readonly path: string;
  readonly why: string;
  readonly cure: string;
}

/** Null: nobody else can write it. `isOwners`: the machine owner's, which an ordinary user's is not. Pure. */
export function judgeKept(
  path: string,
  { mode, uid, gid }: OwnerFacts,
  { isOwners, me }: { readonly isOwners: boolean; readonly me: number },
): Trouble | null {
  const isShared = (mode & STICKY) !== 0;
  if ((mode & OTHERS_WRITE) !== 0 && !isShared)
    return { path, why: 'everybody can write it', cure: `sudo chmod go-w ${path}` };
  if (!isOwners) return null;
  if ((mode & GROUP_WRITES) !== 0 && gid !== 0 && !isShared)
    return { path, why: `its group (${gid}) can write it`, cure: `sudo chmod go-w ${path}` };
  if (uid !== 0 && uid !== me && uid !== UNMAPPED)
    return { path, why: `it belongs to another user (${uid})`, cure: `sudo chown 0 ${path}` };
  return null;
}

/** The file, the folder that it is named in, and the one that it lies in; null also where nothing can be seen, which reading tells. */
export function findTrouble(path: string, isOwners: boolean): Trouble | null {
  const me = process.getuid?.() ?? 0;
  for (const place of placesOf(path)) {
    const stat = statOf(place);
    const trouble = stat === null ? null : judgeKept(place, stat, { isOwners, me });
    if (trouble !== null) return trouble;
  }
  return null;
}

/** Fail closed: a ceiling that somebody else can widen is none, and there was to be one. Raises `policy-invalid`. */
export function requireKept(path: string): void {
  const trouble = findTrouble(path, path === CEILING_PATH);
  if (trouble === null) return;
  const what = trouble.path === path ? path : `${path}: ${trouble.path}`;
  throw new SandError(
    'policy-invalid',
    `${what}: a ceiling is its owner\u2019s word, and ${trouble.why}`,
    trouble.cure,
  );
}

function placesOf(path: string): readonly string[] {
  const named = [path, dirname(path)];
  try {
    return [...new Set([...named, dirname(realpathSync.native(path))])];
  } catch {
    return named;
  }
}

function statOf(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}
