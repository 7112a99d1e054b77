import { describe, expect, it } from 'vitest';
import {
  type ImageFilesRequest,
  planImageMounts,
} from '../../../../controller/backends/linux/image-mounts.ts';
import type { Mount } from '../../../../controller/backends/linux/mounts.ts';
import type { ImageEntry } from '../../../../controller/images/image-path.ts';
import { HOST } from './samples.ts';

const FOLDER = { kind: 'folder' } as const;
const FILE = { kind: 'file' } as const;
const link = (value: string) => ({ kind: 'link', value }) as const;

function plan(entries: Readonly<Record<string, ImageEntry>>, changes: Partial<ImageFilesRequest> = {}) {
  return planImageMounts({
    host: HOST,
    image: {
      scratch: '/cache/scratch',
      user: { uid: 77, gid: 78, user: 'app', home: '/home/app', listed: true },
    },
    look: (path) => entries[path] ?? null,
    passwd: 'app:x:77:78::/home/app:/bin/sh\n',
    group: 'app:x:78:\n',
    launcher: { mounts: [] },
    readOnly: false,
    workspaces: [{ source: '/home/ada/project', target: '/home/ada/project', writable: true }],
    guards: [],
    extras: [],
    nameserver: '198.18.0.1',
    ...changes,
  });
}
const at = (mounts: readonly Mount[], target: string) =>
  mounts.filter((mount) => 'target' in mount && mount.target === target);
const places = (mounts: readonly Mount[]) =>
  mounts.map((mount) => ('target' in mount ? mount.target : mount.kind));

describe('planImageMounts', () => {
  const plain = { '/etc': FOLDER, '/etc/passwd': FILE, '/tmp': FOLDER, '/home': FOLDER, '/home/app': FOLDER };

  it('begins with the guest\u2019s own root, and makes /etc a mount that cannot be renamed away', () => {
    const { mounts } = plan(plain);
    expect(mounts[0]).toEqual({ kind: 'bind', source: '/cache/scratch/root', target: '/', writable: true });
    expect(mounts[1]).toEqual({
      kind: 'bind',
      source: '/cache/scratch/root/etc',
      target: '/etc',
      writable: true,
    });
  });

  it('shows of the host the workspace, and neither its system nor its home', () => {
    const sources = plan(plain).mounts.flatMap((mount) => (mount.kind === 'bind' ? [mount.source] : []));
    const shown = sources.filter((source) => !/^(\/cache\/scratch\/|\/proc\/|\/dev\/null$)/.test(source));
    expect(shown).toEqual(['/home/ada/project']);
  });

  it('masks what the loader would obey, and seals the place of its launcher last of all', () => {
    const { mounts } = plan(plain);
    expect(at(mounts, '/etc/ld.so.preload')).toEqual([
      { kind: 'data', target: '/etc/ld.so.preload', content: '' },
    ]);
    expect(at(mounts, '/run/sand').map(({ kind }) => kind)).toEqual(['tmpfs', 'seal']);
    expect(places(mounts).at(-1)).toBe('/run/sand');
  });

  it('is sealed whole where it is read-only', () => {
    expect(plan(plain, { readOnly: true }).mounts.slice(-2)).toEqual([
      { kind: 'seal', target: '/etc' },
      { kind: 'seal', target: '/' },
    ]);
  });

  it('mounts nothing through a link of the image: each place is the one that it leads to inside', () => {
    const { mounts } = plan({
      ...plain,
      '/tmp': link('/oldroot/tmp'),
      '/etc/resolv.conf': link('../../../oldroot/root/.bashrc'),
      '/etc/hosts': link('/run/hosts'),
      '/home/ada': link('/oldroot/home/ada'),
    });
    expect(at(mounts, '/tmp')).toEqual([]);
    expect(at(mounts, '/oldroot/tmp')).toMatchObject([{ kind: 'tmpfs' }]);
    expect(at(mounts, '/oldroot/root/.bashrc')).toMatchObject([{ kind: 'data' }]);
    expect(at(mounts, '/run/hosts')).toMatchObject([{ kind: 'data' }]);
    expect(at(mounts, '/oldroot/home/ada/project')).toMatchObject([{ kind: 'bind' }]);
  });

  it('gives the image no say in what a mount of sand\u2019s covers', () => {
    const { mounts } = plan({ ...plain, '/run': FOLDER, '/run/sand': link('/srv') });
    expect(at(mounts, '/run/sand').map(({ kind }) => kind)).toEqual(['tmpfs', 'seal']);
    expect(at(mounts, '/srv')).toEqual([]);
  });

  it.each<readonly [string, Readonly<Record<string, ImageEntry>>]>([
    ['/run that is a link', { '/run': link('/srv') }],
    ['/etc that is a link', { '/etc': link('/srv') }],
    ['/proc that is a file', { '/proc': FILE }],
    ['/tmp that is a file', { '/tmp': FILE }],
    ['/etc/hosts that is a folder', { '/etc': FOLDER, '/etc/hosts': FOLDER }],
    ['a circle of links', { '/tmp': link('tmp') }],
  ])('refuses an image with %s', (_, entries) => {
    expect(() => plan(entries)).toThrow(expect.objectContaining({ code: 'image-invalid' }));
  });

  it('adds a line for a user that the image does not list, and leaves its accounts alone otherwise', () => {
    expect(at(plan(plain).mounts, '/etc/passwd')).toEqual([]);
    const user = { uid: 5, gid: 6, user: 'sand', home: '/home/sand', listed: false };
    const { mounts } = plan(plain, { image: { scratch: '/s', user }, passwd: 'a:x:1:1::/:/bin/sh' });
    expect(at(mounts, '/etc/passwd')).toMatchObject([
      { kind: 'file', content: 'a:x:1:1::/:/bin/sh\nsand:x:5:6:guest of sand:/home/sand:/bin/sh\n' },
    ]);
    expect(at(mounts, '/etc/group')).toMatchObject([{ content: 'app:x:78:\nsand:x:6:\n' }]);
  });

  it('names the folders above its mounts, so that places can be made there', () => {
    const { folders } = plan({ ...plain, '/home/ada': FOLDER });
    expect(folders).toEqual(expect.arrayContaining(['/etc', '/home', '/home/ada']));
    expect(folders).not.toContain('/home/ada/project');
  });
});
