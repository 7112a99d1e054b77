/** Folders that are held open while somebody else renames them, as on both systems: nothing lands in another one. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OpenFolder, openTop } from '../../../controller/copy/open-folder.ts';

let root: string;
const before = process.cwd();
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'open-folder-')));
  mkdirSync(join(root, 'a/b'), { recursive: true });
  mkdirSync(join(root, 'secret'));
});
afterEach(() => {
  process.chdir(before);
  rmSync(root, { recursive: true, force: true });
});

function walk(platform: NodeJS.Platform, path: string): OpenFolder {
  let at = openTop(platform);
  for (const part of path.split('/').filter((one) => one !== '')) {
    const next = at.open(part);
    at.close();
    at = next;
  }
  return at;
}

const write = (folder: OpenFolder, name: string) => folder.at(name, (path) => writeFileSync(path, 'x'));

describe.each(['linux', 'darwin'] as const)('held as on %s', (platform) => {
  it('a folder is where it is, and what lies in it has its own names', () => {
    const folder = walk(platform, join(root, 'a/b'));
    expect(folder.where()).toBe(join(root, 'a/b'));
    write(folder, 'x');
    expect(readdirSync(join(root, 'a/b'))).toEqual(['x']);
    expect(folder.stat('x')?.isFile()).toBe(true);
    expect(folder.stat('y')).toBeNull();
    const above = folder.open('..');
    expect(above.where()).toBe(join(root, 'a'));
    for (const open of [folder, above]) open.close();
    expect(process.cwd()).toBe(before);
  });

  it('a link is not opened', () => {
    symlinkSync(join(root, 'secret'), join(root, 'a/l'));
    const folder = walk(platform, join(root, 'a'));
    expect(() => folder.open('l')).toThrow();
    folder.close();
  });

  it.each([
    ['a link', (path: string) => symlinkSync(join(root, 'secret'), path)],
    ['another folder', (path: string) => mkdirSync(join(path, 'b'), { recursive: true })],
  ])('%s in the place of a folder above gets nothing', (_, put) => {
    const folder = walk(platform, join(root, 'a/b'));
    renameSync(join(root, 'a'), join(root, 'moved'));
    put(join(root, 'a'));
    mkdirSync(join(root, 'secret/b'));
    if (platform === 'linux') write(folder, 'x');
    else expect(() => write(folder, 'x')).toThrow('is another folder than it was');
    for (const place of ['secret', 'secret/b', 'a', 'a/b'])
      expect(existsSync(join(root, place, 'x'))).toBe(false);
    expect(existsSync(join(root, 'moved/b/x'))).toBe(platform === 'linux');
    expect(process.cwd()).toBe(before);
    folder.close();
  });
});

it('a working directory that is gone is left for the top', () => {
  mkdirSync(join(root, 'cwd'));
  process.chdir(join(root, 'cwd'));
  rmSync(join(root, 'cwd'), { recursive: true });
  const folder = walk('darwin', join(root, 'a'));
  write(folder, 'x');
  expect(existsSync(join(root, 'a/x'))).toBe(true);
  folder.close();
});
