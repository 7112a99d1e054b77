/**
 * Opens folders of the host by name, one step after the other, so that nobody who writes on the way can put a link in
 * between: Linux's /proc/self/fd stands for openat(2), which Node does not have. Decides which links are followed.
 */
import { closeSync, constants, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs';
import { resolve } from 'node:path';
import { escapeTerminal } from '../../audit/escape.ts';
import { SandError } from '../errors.ts';
import { COPY_LIMITS } from './limits.ts';

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export interface HostPlace {
  /** An open folder; whoever gets it closes it. */
  readonly parent: number;
  /** In it; null: the folder itself is meant. */
  readonly name: string | null;
}

/** A path below an open folder, for the calls of `fs`. */
export function below(folder: number, name: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${folder}/`), Buffer.from(name)]);
}

export function openFolderBelow(folder: number, name: string | Buffer): number {
  return openSync(below(folder, name), FOLDER);
}

/** Null where nothing is there. */
export function statBelow(folder: number, name: string | Buffer): Stats | null {
  return lstatSync(below(folder, name), { throwIfNoEntry: false }) ?? null;
}

/**
 * The folder at `path`, or its folder and its name where it is no folder or not there. `written`: folders, absolute and
 * real, in which a guest may have made links; those are not followed. Raises `copy-refused`, `copy-failed`.
 */
export function openPlace(path: string, cwd: string, written: readonly string[]): HostPlace {
  let at = openSync('/', FOLDER);
  try {
    let rest = resolve(cwd, path)
      .split('/')
      .filter((part) => part !== '');
    for (let links = 0; ; ) {
      const [part, ...after] = rest;
      if (part === undefined) return { parent: at, name: null };
      const stat = part === '..' ? null : statBelow(at, part);
      if (stat?.isSymbolicLink() === true) {
        links += 1;
        if (links > COPY_LIMITS.links) throw failed(path, 'its links lead in a circle');
        const target = followed(at, part, path, written);
        rest = [...target.split('/').filter((step) => step !== '' && step !== '.'), ...after];
        if (target.startsWith('/')) at = replace(at, openSync('/', FOLDER));
      } else if (part === '..' || stat?.isDirectory() === true) {
        at = replace(at, openFolderBelow(at, part));
        rest = after;
      } else if (after.length === 0) return { parent: at, name: part };
      else throw failed(path, `${here(at)}/${part} is no folder`);
    }
  } catch (error) {
    closeSync(at);
    throw error;
  }
}

function followed(folder: number, name: string, path: string, written: readonly string[]): string {
  const place = here(folder);
  // Fail closed: whoever made the link may be a guest, and what it leads to is not what was named.
  if (written.some((root) => place === root || place.startsWith(`${root}/`)))
    throw new SandError(
      'copy-refused',
      `${escapeTerminal(path)}: ${escapeTerminal(`${place}/${name}`)} is a link, and a guest can write there`,
      'name the place that is meant, without the link',
    );
  return readlinkSync(below(folder, name), 'utf8');
}

/** Where an open folder is. */
function here(folder: number): string {
  return readlinkSync(`/proc/self/fd/${folder}`);
}

function replace(before: number, after: number): number {
  closeSync(before);
  return after;
}

export function failed(path: string, why: string): SandError {
  return new SandError(
    'copy-failed',
    `${escapeTerminal(path)}: ${escapeTerminal(why)}`,
    'name a place that is there',
  );
}
