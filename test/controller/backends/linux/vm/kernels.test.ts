import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageOf } from '../../../../../controller/backends/linux/vm/kernel-package.ts';
import {
  compareReleases,
  findKernels,
  kernelCache,
  readModules,
} from '../../../../../controller/backends/linux/vm/kernels.ts';

describe('compareReleases', () => {
  it('compares numbers as numbers', () => {
    const releases = [
      '6.1.0-9-cloud-amd64',
      '6.1.0-56-cloud-amd64',
      '6.12.2-1-cloud-amd64',
      '5.10.0-99-cloud-amd64',
    ];
    expect(releases.toSorted(compareReleases)).toEqual([releases[3], releases[0], releases[1], releases[2]]);
  });
});

describe('kernelCache', () => {
  it('is below the cache folder of the user', () => {
    expect(kernelCache({ XDG_CACHE_HOME: '/c', HOME: '/h' })).toBe('/c/sand/vm');
    expect(kernelCache({ XDG_CACHE_HOME: 'relative', HOME: '/h' })).toBe('/h/.cache/sand/vm');
  });
});

describe('packageOf', () => {
  it('is what the meta package depends on', () => {
    expect(packageOf('linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n')).toBe(
      'linux-image-6.1.0-56-cloud-amd64',
    );
  });

  it('is nothing that could be an option or a path', () => {
    expect(packageOf('  Depends: --force\n  Depends: linux-image-/etc\n')).toBeNull();
    expect(packageOf('')).toBeNull();
  });
});

describe('findKernels', () => {
  let cache: string;
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), 'sand-kernels-'));
  });
  afterEach(() => rmSync(cache, { recursive: true, force: true }));
  const keep = (release: string) => {
    mkdirSync(join(cache, release, 'modules'), { recursive: true });
    writeFileSync(join(cache, release, 'vmlinuz'), '');
  };
  const cached = () =>
    findKernels('x64', cache)
      .filter(({ image }) => image.startsWith(cache))
      .map(({ release }) => release);

  it('gives the newest first, of this architecture', () => {
    for (const release of ['6.1.0-9-cloud-amd64', '6.1.0-56-cloud-amd64', '6.1.0-99-cloud-arm64'])
      keep(release);
    expect(cached()).toEqual(['6.1.0-56-cloud-amd64', '6.1.0-9-cloud-amd64']);
  });

  it('passes over what is not whole', () => {
    keep('6.1.0-9-cloud-amd64');
    mkdirSync(join(cache, '6.1.0-56-cloud-amd64'));
    mkdirSync(join(cache, '.unpacking-abc'));
    expect(cached()).toEqual(['6.1.0-9-cloud-amd64']);
  });

  it('finds none where there is no cache', () => {
    rmSync(cache, { recursive: true });
    expect(cached()).toEqual([]);
  });

  it('reads the modules that are wanted, in their order', () => {
    keep('6.1.0-9-cloud-amd64');
    const modules = join(cache, '6.1.0-9-cloud-amd64/modules');
    mkdirSync(join(modules, 'fs'));
    writeFileSync(join(modules, 'fs/virtiofs.ko'), '\0depends=fuse\0');
    writeFileSync(join(modules, 'fs/fuse.ko'), '\0depends=\0');
    writeFileSync(join(modules, 'other.ko'), '\0depends=\0');
    const read = readModules({ release: '6.1.0-9-cloud-amd64', image: '', modules });
    expect(read.map(({ name }) => name)).toEqual(['fuse', 'virtiofs']);
  });
});
