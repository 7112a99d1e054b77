/** What the tool prints of images and volumes, in the shapes of 1.2.2 and of 0.12. */
import { describe, expect, it } from 'vitest';
import {
  planImageBuild,
  planImagePull,
  planVolumeCreate,
} from '../../../../controller/backends/apple-container/image-argv.ts';
import { spellings } from '../../../../controller/backends/apple-container/image-keeper.ts';
import {
  HOST_PLATFORM,
  platformsOf,
  preparedImage,
  requireReference,
} from '../../../../controller/backends/apple-container/images.ts';
import {
  parseContainers,
  parseFinalComplaint,
  parseImages,
  parseVolumes,
} from '../../../../controller/backends/apple-container/parse.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const variant = (architecture: string, os = 'linux') => ({
  platform: { os, architecture },
  digest: DIGEST,
  size: 1,
  config: { architecture, os, config: { User: 'node', Cmd: ['node'], Env: ['PATH=/usr/bin'] } },
});
const image = (variants: readonly object[]) => ({
  id: 'a'.repeat(64),
  configuration: {
    name: 'docker.io/library/node:24',
    creationDate: '2026-08-07T10:00:00Z',
    descriptor: { mediaType: 'application/vnd.oci.image.index.v1+json', digest: DIGEST, size: 1 },
  },
  variants,
});
const facts = (variants: readonly object[]) => {
  const [one] = parseImages(JSON.stringify([image(variants)])) ?? [];
  if (one === undefined) throw new Error('it does not read');
  return one;
};
const WISHES = { user: null, platform: null } as const;

describe('images as the tool lists them', () => {
  it('have a name, a digest, a date, and the platforms that are for Linux', () => {
    const read = facts([variant('arm64'), variant('amd64'), variant('unknown', 'unknown')]);
    expect(read).toMatchObject({
      name: 'docker.io/library/node:24',
      digest: DIGEST,
      date: '2026-08-07T10:00:00Z',
    });
    expect(platformsOf(read)).toEqual(['linux/arm64', 'linux/amd64']);
  });

  it.each(['', '{}', '[{}]', '[{"configuration":{"name":1}}]'])('do not read as %j', (text) => {
    expect(parseImages(text)).toBeNull();
  });
});

describe('preparedImage', () => {
  const other = HOST_PLATFORM === 'linux/amd64' ? 'arm64' : 'amd64';
  const both = facts([variant('arm64'), variant('amd64')]);

  it('takes what is for this host, and tells the log its digest', () => {
    const { guest, notices } = preparedImage('node:24', both, WISHES);
    expect(guest).toMatchObject({ kind: 'named', platform: HOST_PLATFORM, digest: DIGEST, user: 'node' });
    expect(notices).toEqual([]);
  });

  it('has a notice where Rosetta is to translate', () => {
    const platform = `linux/${other}` as const;
    const { guest, notices } = preparedImage('node:24', both, { user: '0', platform });
    expect(guest).toMatchObject({ platform, user: '0' });
    expect(notices).toEqual([
      { code: 'image-translated', detail: expect.stringContaining(`node:24 is for ${platform}`) },
    ]);
  });

  it('refuses one that has nothing for this host', () => {
    expect(() => preparedImage('node:24', facts([variant(other)]), WISHES)).toThrow(
      expect.objectContaining({ code: 'image-invalid' }),
    );
  });
});

describe('requireReference', () => {
  it.each(['node', 'docker.io/library/node:24', 'localhost:5000/a/b', `node@${DIGEST}`])('takes %s', (text) =>
    requireReference(text),
  );

  it.each(['', '-x', '--all', 'a b', 'a\nb', './root', '/srv/root', 'oci:./x', 'a'.repeat(600)])(
    'refuses %j',
    (text) => {
      expect(() => requireReference(text)).toThrow(expect.objectContaining({ code: 'usage' }));
    },
  );
});

describe('spellings', () => {
  it.each([
    ['node', 'docker.io/library/node:latest'],
    ['node:24', 'docker.io/library/node:24'],
    ['acme/app', 'docker.io/acme/app:latest'],
    ['ghcr.io/acme/app', 'ghcr.io/acme/app:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest'],
    [`node@${DIGEST}`, `docker.io/library/node@${DIGEST}`],
  ])('%s is %s', (text, whole) => expect(spellings(text)).toContain(whole));
});

describe('argument lists for images and volumes', () => {
  it('attach or end what a caller wrote', () => {
    expect(planImagePull('--all', 'linux/arm64').slice(-2)).toEqual(['--', '--all']);
    const build = {
      tag: 't:1',
      platform: 'linux/arm64',
      dockerfile: '/d',
      context: '-c',
      labels: { a: 'b=c d' },
    };
    expect(planImageBuild(build)).toEqual([
      ...['build', '--tag', 't:1', '--platform', 'linux/arm64', '--file', '/d', '--progress', 'plain'],
      ...['--label', 'a=b%3Dc%20d', '--', '-c'],
    ]);
    expect(planVolumeCreate('sand-0-a', { p: '/re=po' })).toEqual([
      'volume',
      'create',
      '--label',
      'p=%2Fre%3Dpo',
      '--',
      'sand-0-a',
    ]);
  });
});

describe('volumes as the tool tells of them', () => {
  const configuration = {
    ...{
      name: 'sand-0-a',
      driver: 'local',
      format: 'ext4',
      source: '/x',
      creationDate: '2026-08-07T10:00:00Z',
    },
    ...{ labels: { 'dev.sand.volume': 'a' }, options: {} },
  };

  it('read from lists and from containers that have them', () => {
    expect(parseVolumes(JSON.stringify([{ id: 'sand-0-a', configuration }]))).toEqual([
      { name: 'sand-0-a', date: '2026-08-07T10:00:00Z', labels: { 'dev.sand.volume': 'a' } },
    ]);
    const mounts = [
      { type: { volume: { name: 'sand-0-a', format: 'ext4' } }, source: '/x', destination: '/a' },
      { type: { virtiofs: {} }, source: '/w', destination: '/w' },
    ];
    const container = {
      id: 'c',
      configuration: { id: 'c', networks: [], mounts },
      status: { state: 'running', networks: [] },
    };
    expect(parseContainers(JSON.stringify([container]))?.[0]?.volumes).toEqual(['sand-0-a']);
  });

  it.each(['', '{}', '[1]', '[{"configuration":{}}]'])('do not read as %j', (text) => {
    expect(parseVolumes(text)).toBeNull();
  });
});

describe('parseFinalComplaint', () => {
  it('finds what went wrong behind progress', () => {
    expect(parseFinalComplaint('[1/2] Fetching 10%\r[1/2] 100%\nError: one\nnoise\nError: two\n')).toBe(
      'two',
    );
    expect(parseFinalComplaint('[1/2] Fetching 10%\n')).toBe('');
  });
});
