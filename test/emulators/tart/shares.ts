/** Reads `--dir` as the tool does, traps included, and says where each share is found in the guest. */
import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { Failure, notEmulated } from '../container/failure.ts';

export const DEFAULT_TAG = 'com.apple.virtio-fs.automount';

export interface Share {
  readonly name: string | null;
  readonly path: string;
  readonly isReadOnly: boolean;
  readonly tag: string;
}

/** A value that ends the process of the real tool. */
export class Trap extends Error {}

export function parseShare(value: string): Share {
  const pieces = value.split(':').filter((piece) => piece !== '');
  if (pieces.length === 0) throw new Trap('Index out of range');
  let isReadOnly = false;
  let tag = DEFAULT_TAG;
  const options = (pieces.at(-1) ?? '').split(',');
  if (options.some((option) => option === 'ro' || option.startsWith('tag='))) {
    isReadOnly = options.includes('ro');
    tag = options.findLast((option) => option.startsWith('tag='))?.slice('tag='.length) ?? DEFAULT_TAG;
    pieces.pop();
    // What is options alone leaves no path to be taken.
    if (pieces.length === 0) throw new Trap('Index out of range');
  }
  if (/^https?$/.test(pieces[0] ?? '') || /^https?$/.test(pieces[1] ?? ''))
    throw notEmulated('run --dir with an archive to download');
  const [first = '', ...rest] = pieces;
  const name = rest.length === 0 ? null : first;
  const path = rest.length === 0 ? first : rest.join(':');
  return { name, path: expand(path), isReadOnly, tag };
}

function expand(path: string): string {
  const home = process.env.HOME ?? homedir();
  if (path === '~') return home;
  if (path.startsWith('~/')) return join(home, path.slice(2));
  return isAbsolute(path) ? path : resolve(path);
}

/** The tag that has two shares, one of which has no name; null where all is well. */
export function findUnnamed(shares: readonly Share[]): string | null {
  const found = shares.find(
    ({ name, tag }) => name === null && shares.filter((other) => other.tag === tag).length > 1,
  );
  return found?.tag ?? null;
}

/** Of two with one name the last stays, without a word. */
export function withoutDoubles(shares: readonly Share[]): readonly Share[] {
  return shares.filter(
    ({ name, tag }, at) => !shares.slice(at + 1).some((other) => other.name === name && other.tag === tag),
  );
}

/** The framework's own words are only like these. */
export function checkShares(shares: readonly Share[]): void {
  for (const { name, path } of shares) {
    const isNamed = name === null || !(name.includes('/') || name === '.' || name === '..');
    if (isNamed && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) continue;
    throw new Failure(
      'Error Domain=VZErrorDomain Code=2 "A directory sharing device configuration is invalid." ' +
        'UserInfo={NSLocalizedFailure=Invalid virtual machine configuration.}',
    );
  }
}
