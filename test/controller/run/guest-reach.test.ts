import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isInReach, writableFolders } from '../../../controller/run/guest-reach.ts';

let root: string;
const at = (name: string) => join(root, name);
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'reach-')));
  mkdirSync(at('ws/sub'), { recursive: true });
  mkdirSync(at('out'));
  for (const name of ['ws/p.yaml', 'out/p.yaml']) writeFileSync(at(name), '');
  symlinkSync(at('ws/p.yaml'), at('out/to-file.yaml'));
  symlinkSync('../ws', at('out/to-folder'));
  symlinkSync(at('out/p.yaml'), at('ws/back.yaml'));
  symlinkSync(at('ws/back.yaml'), at('out/through.yaml'));
  symlinkSync('p.yaml', at('out/beside.yaml'));
  symlinkSync('circle.yaml', at('out/circle.yaml'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('isInReach', () => {
  it.each([
    'ws',
    'ws/p.yaml',
    'ws/not-there.yaml',
    'out/to-file.yaml',
    'out/to-folder/p.yaml',
    'out/through.yaml',
    'ws/back.yaml',
  ])('is true of %s', (name) => {
    expect(isInReach(at(name), [at('ws')])).toBe(true);
  });

  it.each(['out/p.yaml', 'out/beside.yaml', 'out/not-there.yaml', 'ws.yaml', 'wsx/p.yaml'])(
    'is false of %s',
    (name) => {
      expect(isInReach(at(name), [at('ws')])).toBe(false);
    },
  );

  it('is true of what cannot be followed', () => {
    expect(isInReach(at('out/circle.yaml'), [at('ws')])).toBe(true);
    expect(isInReach(at('out/p.yaml/below'), [at('ws')])).toBe(true);
  });

  it('is true of everything where the root can be written, and of nothing where no folder can', () => {
    expect(isInReach(at('out/p.yaml'), ['/'])).toBe(true);
    expect(isInReach(at('ws/p.yaml'), [])).toBe(false);
  });
});

describe('writableFolders', () => {
  const mounts = [
    { source: '/ws', target: '/w', writable: true },
    { source: '/ro', target: '/r', writable: false },
  ];
  it('has the sources of writable mounts, and the cache', () => {
    expect(writableFolders({ mounts, cache: null })).toEqual(['/ws']);
    expect(writableFolders({ mounts, cache: '/cache' })).toEqual(['/ws', '/cache']);
  });
});

it('on a Mac a file is in reach by whatever capitals it is named', () => {
  expect(isInReach('/Users/ME/Project/p.yaml', ['/Users/me/project'], 'darwin')).toBe(true);
  expect(isInReach('/Users/me/other/p.yaml', ['/Users/me/project'], 'darwin')).toBe(false);
  expect(isInReach('/Users/ME/Project/p.yaml', ['/Users/me/project'], 'linux')).toBe(false);
});
