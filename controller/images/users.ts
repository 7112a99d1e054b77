/**
 * Who runs in a guest of an image: its `User`, looked up in the image's own passwd and group, as a number, a
 * group and a home. The files are anybody's making. Pure.
 */
import { invalid, isPlainPath } from './config.ts';
import { IMAGE_LIMITS } from './limits.ts';

export interface ImageUser {
  readonly uid: number;
  readonly gid: number;
  readonly user: string;
  readonly home: string;
  /** Whether the image's passwd has a line for that number. */
  readonly listed: boolean;
}

/** Null: the image has no such file. */
export interface Accounts {
  readonly passwd: string | null;
  readonly group: string | null;
}

/** bubblewrap reads numbers of 31 bits. */
const LARGEST_ID = 2 ** 31 - 1;
/** Without a line of its own, or with one that is no place for files. */
const HOME = '/home/sand';
const NAME = 'sand';
const NO_HOMES = /^\/(proc|sys|dev|run)(\/|$)/;

/** Raises `image-invalid` where a name is not in the image. Empty means root; without a group, that of the user's line, or 0. */
export function resolveImageUser(text: string, accounts: Accounts): ImageUser {
  const [user = '', group] = (text === '' ? '0' : text).split(':');
  const rows = rowsOf(accounts.passwd);
  const id = parseId(user === '' ? '0' : user);
  const row = rows.find((fields) => (id === null ? fields[0] === user : parseId(fields[2] ?? '') === id));
  const uid = id ?? parseId(row?.[2] ?? '');
  if (uid === null) throw invalid(`its user ${user} is not in its /etc/passwd`);
  return {
    uid,
    gid: group === undefined ? (parseId(row?.[3] ?? '') ?? 0) : groupId(group, accounts.group),
    user: nameOf(row?.[0]),
    home: homeOf(row?.[5]),
    listed: row !== undefined,
  };
}

function groupId(text: string, groups: string | null): number {
  const id = parseId(text) ?? parseId(rowsOf(groups).find(([name]) => name === text)?.[2] ?? '');
  if (id === null) throw invalid(`its group ${text} is not in its /etc/group`);
  return id;
}

function nameOf(name: string | undefined): string {
  return name !== undefined && /^[A-Za-z0-9._][A-Za-z0-9._-]{0,63}$/.test(name) ? name : NAME;
}

function homeOf(path: string | undefined): string {
  const isHome = path !== undefined && path !== '/' && isPlainPath(path) && !NO_HOMES.test(path);
  return isHome ? path.replace(/\/+/g, '/').replace(/(?<=.)\/$/, '') : HOME;
}

function parseId(text: string): number | null {
  if (!/^[0-9]{1,10}$/.test(text)) return null;
  const id = Number(text);
  return id <= LARGEST_ID ? id : null;
}

function rowsOf(text: string | null): readonly (readonly string[])[] {
  return (text ?? '')
    .slice(0, IMAGE_LIMITS.accountBytes)
    .split('\n')
    .map((line) => line.split(':'));
}
