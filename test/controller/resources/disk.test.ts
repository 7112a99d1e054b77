import { expect, it } from 'vitest';
import { planMounts } from '../../../controller/backends/linux/mounts.ts';
import { tmpfsBytes } from '../../../controller/resources/disk.ts';
import { filesRequest } from '../backends/linux/samples.ts';

it('shares one number among the folders, and gives what only hides a page', () => {
  const mounts = planMounts(filesRequest({ diskMiB: 64 })).filter((mount) => mount.kind === 'tmpfs');
  const sizes = Object.fromEntries(mounts.map(({ target, sizeBytes }) => [target, sizeBytes]));
  expect(sizes).toEqual({
    '/etc/ssl/private': 4096,
    '/tmp': 16 * 1024 ** 2,
    '/var/tmp': 8 * 1024 ** 2,
    '/dev/shm': 6 * 1024 ** 2,
    '/run': 2 * 1024 ** 2,
    '/home/ada': 32 * 1024 ** 2,
  });
});

it('leaves no folder in memory without a size, and /dev none to write to', () => {
  const mounts = planMounts(filesRequest({ diskMiB: 64 }));
  expect(mounts.filter((mount) => mount.kind === 'tmpfs' && mount.sizeBytes === undefined)).toEqual([]);
  expect(mounts.at(-1)).toEqual({ kind: 'read-only', target: '/dev' });
});

it('without --disk changes nothing', () => {
  expect(planMounts(filesRequest({ diskMiB: null }))).toEqual(planMounts(filesRequest()));
  expect(tmpfsBytes(null, '/tmp', '/home/ada')).toBeNull();
});
