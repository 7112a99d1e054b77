import { describe, expect, it } from 'vitest';
import { checkProc, checkRealPath, PROC_READERS } from './host-rules.ts';
import { readTree } from './tree.ts';

const tree = readTree();

describe('what only Linux has', () => {
  it('is read in its own folders, and elsewhere where a Mac has another way', () => {
    expect(tree.flatMap(checkProc)).toEqual([]);
  });

  it.each(Object.keys(PROC_READERS))('%s still does', (path) => {
    expect(tree.find((file) => file.path === path)?.text).toMatch(/['"`]\/proc\b/);
  });
});

it('a real path is told as it is written on the disk', () => {
  expect(tree.flatMap(checkRealPath)).toEqual([]);
});

describe('each host rule goes red', () => {
  it.each([
    ['controller/run/a.ts', "readFileSync('/proc/self/stat')"],
    ['dns/a.ts', 'readFileSync(`/proc/1/stat`)'],
    ['action/a.ts', "open('/proc')"],
  ])('%s with %s', (path, text) => {
    expect(checkProc({ path, text })).toHaveLength(1);
  });

  it.each([
    ['controller/backends/linux/a.ts', "readFileSync('/proc/self/stat')"],
    ['controller/run/a.ts', "/** '/proc' */ const none = 1;"],
    ['test/a.test.ts', "readFileSync('/proc/self/stat')"],
  ])('but not %s with %s', (path, text) => {
    expect(checkProc({ path, text })).toEqual([]);
  });

  it('of real paths', () => {
    expect(checkRealPath({ path: 'controller/run/a.ts', text: 'realpathSync(cwd)' })).toHaveLength(1);
    expect(checkRealPath({ path: 'controller/run/a.ts', text: 'realpathSync.native(cwd)' })).toEqual([]);
  });
});
