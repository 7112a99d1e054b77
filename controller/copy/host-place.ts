/**
 * Opens folders of the host by name, one step after the other, so that nobody who writes on the way can put a link in
 * between. Decides which links are followed; how a folder is held is `open-folder.ts`'s.
 */
import { readlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { escapeTerminal } from '../../audit/escape.ts';
import { SandError } from '../errors.ts';
import { COPY_LIMITS } from './limits.ts';
import { type OpenFolder, openTop } from './open-folder.ts';

export interface HostPlace {
  /** Whoever gets it closes it. */
  readonly parent: OpenFolder;
  /** In it; null: the folder itself is meant. */
  readonly name: string | null;
}

/**
 * The folder at `path`, or its folder and its name where it is no folder or not there. `written`: folders, absolute and
 * real, in which a guest may have made links; those are not followed. Raises `copy-refused`, `copy-failed`.
 */
export function openPlace(
  path: string,
  cwd: string,
  written: readonly string[],
  top: () => OpenFolder = openTop,
): HostPlace {
  let at = top();
  try {
    let rest = resolve(cwd, path)
      .split('/')
      .filter((part) => part !== '');
    for (let links = 0; ; ) {
      const [part, ...after] = rest;
      if (part === undefined) return { parent: at, name: null };
      const stat = part === '..' ? null : at.stat(part);
      if (stat?.isSymbolicLink() === true) {
        links += 1;
        if (links > COPY_LIMITS.links) throw failed(path, 'its links lead in a circle');
        const target = followed(at, part, path, written);
        rest = [...target.split('/').filter((step) => step !== '' && step !== '.'), ...after];
        if (target.startsWith('/')) at = replace(at, top());
      } else if (part === '..' || stat?.isDirectory() === true) {
        at = replace(at, at.open(part));
        rest = after;
      } else if (after.length === 0) return { parent: at, name: part };
      else throw failed(path, `${at.where()}/${part} is no folder`);
    }
  } catch (error) {
    at.close();
    throw error;
  }
}

function followed(folder: OpenFolder, name: string, path: string, written: readonly string[]): string {
  const place = folder.where();
  // Fail closed: whoever made the link may be a guest, and what it leads to is not what was named.
  if (written.some((root) => place === root || place.startsWith(`${root}/`)))
    throw new SandError(
      'copy-refused',
      `${escapeTerminal(path)}: ${escapeTerminal(`${place}/${name}`)} is a link, and a guest can write there`,
      'name the place that is meant, without the link',
    );
  return folder.at(name, (link) => readlinkSync(link, 'utf8'));
}

function replace(before: OpenFolder, after: OpenFolder): OpenFolder {
  before.close();
  return after;
}

export function failed(path: string, why: string): SandError {
  return new SandError(
    'copy-failed',
    `${escapeTerminal(path)}: ${escapeTerminal(why)}`,
    'name a place that is there',
  );
}
