import { describe, expect, it } from 'vitest';
import { isOwnCgroup, locateCgroups, parseCgroupMounts } from '../../../controller/resources/places.ts';

const HYBRID = [
  '31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct',
  '34 30 0:31 / /sys/fs/cgroup/memory rw,relatime shared:7 - cgroup cgroup rw,memory',
  '39 30 0:36 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd',
  '40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate',
  '22 1 8:1 / / rw - ext4 /dev/sda1 rw',
  '',
].join('\n');

const located = (cgroup: string, mountinfo: string) => locateCgroups(cgroup, parseCgroupMounts(mountinfo));

describe('sand’s own groups', () => {
  it('of both versions', () => {
    const own = '9:name=systemd:/x\n4:memory:/user/a b\n2:cpu,cpuacct:/\n0::/user.slice/s.scope\n';
    expect(located(own, HYBRID)).toEqual([
      { version: 1, controllers: ['memory'], directory: '/sys/fs/cgroup/memory/user/a b' },
      { version: 1, controllers: ['cpu', 'cpuacct'], directory: '/sys/fs/cgroup/cpu,cpuacct' },
      { version: 2, controllers: [], directory: '/sys/fs/cgroup/unified/user.slice/s.scope' },
    ]);
  });

  it('in a container that shows its own group alone', () => {
    const mount = '5 4 0:9 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n';
    expect(located('4:memory:/docker/abc\n', mount)).toMatchObject([{ directory: '/sys/fs/cgroup/memory' }]);
    expect(located('4:memory:/docker/abc/d\n', mount)).toMatchObject([
      { directory: '/sys/fs/cgroup/memory/d' },
    ]);
    expect(located('4:memory:/docker/abcd\n', mount)).toEqual([]);
  });

  it('not where they lie outside of what is mounted, or the text is none', () => {
    expect(located('0::/../outside\n', HYBRID)).toEqual([]);
    expect(located('nonsense\n0:\n', HYBRID)).toEqual([]);
    expect(located('0::/a\n', '')).toEqual([]);
  });

  it('where the mount has a space in its name', () => {
    const mount = '5 4 0:9 / /my\\040groups rw - cgroup2 none rw\n';
    expect(located('0::/a\n', mount)).toEqual([{ version: 2, controllers: [], directory: '/my groups/a' }]);
  });
});

describe('what sand may remove', () => {
  const mounts = parseCgroupMounts(HYBRID);

  it.each([
    '/sys/fs/cgroup/memory/sand-guest-20261128-1',
    '/sys/fs/cgroup/unified/user.slice/s.scope/sand-guest-web.1',
    '/sys/fs/cgroup/unified/user.slice/s.scope/sand-callers',
  ])('%s', (path) => {
    expect(isOwnCgroup(path, mounts)).toBe(true);
  });

  it.each([
    '/sys/fs/cgroup/memory',
    '/sys/fs/cgroup/memory/user.slice',
    '/sys/fs/cgroup/memory/sand-guest-',
    '/sys/fs/cgroup/memory/sand-guest-a/../../x',
    '/sys/fs/cgroup/memory/sand-guest-a/',
    '/sys/fs/cgroup/memory/sand-guest-a/inner',
    '/sys/fs/cgroup/memory/sand-guest-../x',
    '/home/ada/sand-guest-a',
    'sand-guest-a',
  ])('not %s', (path) => {
    expect(isOwnCgroup(path, mounts)).toBe(false);
  });
});
