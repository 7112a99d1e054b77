import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lookAtPath } from '../../../controller/images/image-source.ts';
import { parseImageReference } from '../../../controller/images/reference.ts';
import { imagesFolder, listStoredImages, removeStoredImage } from '../../../controller/images/store.ts';
import { openImage } from '../../../controller/images/unpack.ts';
import { dockerArchive, type ImageParts, type Member, ociArchive, tar, writeLayout } from './archives.ts';

const missing = ['skopeo', 'umoci'].filter((tool) => !installed(tool));
function installed(tool: string): boolean {
  try {
    execFileSync(tool, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

let place: string;
let folder: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'sand-images-'));
  folder = imagesFolder({ XDG_CACHE_HOME: join(place, 'cache') }, place);
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

function open(text: string) {
  const reference = parseImageReference(text, place, lookAtPath);
  return openImage({ reference, text, folder, environ: {}, told: () => {} });
}
function openParts(parts: ImageParts) {
  writeFileSync(join(place, 'image.tar'), ociArchive(parts));
  return open('./image.tar');
}
const layer = (...members: readonly Member[]): ImageParts => ({ layers: [members] });

describe.skipIf(missing.length > 0)(
  `images are unpacked${missing.length > 0 ? ` (not here: ${missing} missing)` : ''}`,
  () => {
    const parts: ImageParts = {
      layers: [
        [
          { name: 'etc/', type: 'folder' },
          { name: 'etc/motd', content: 'one' },
          { name: 'etc/gone', content: 'gone' },
          { name: 'closed/', type: 'folder', mode: 0o500 },
          { name: 'closed/file', content: 'x', uid: 33 },
        ],
        [
          { name: 'etc/.wh.gone', content: '' },
          { name: 'etc/motd', content: 'two' },
        ],
      ],
      config: { User: '33', Env: ['A=b'], Entrypoint: ['/bin/app'], Cmd: ['x'], WorkingDir: '/srv' },
    };

    it('from an OCI archive, a layout and an archive of docker save, layer over layer', async () => {
      const image = await openParts(parts);
      expect(readFileSync(join(image.root, 'etc/motd'), 'utf8')).toBe('two');
      expect(readdirSync(join(image.root, 'etc'))).toEqual(['motd']);
      expect(image.config).toEqual({
        user: '33',
        environment: { A: 'b' },
        entrypoint: ['/bin/app'],
        cmd: ['x'],
        workdir: '/srv',
      });
      writeLayout(join(place, 'layout'), parts);
      expect((await open('./layout')).digest).toBe(image.digest);
      expect((await open('oci:layout')).digest).toBe(image.digest);
      writeFileSync(join(place, 'docker.tar'), dockerArchive(parts));
      const saved = await open('./docker.tar');
      expect(readFileSync(join(saved.root, 'etc/motd'), 'utf8')).toBe('two');
      expect(saved.config).toEqual(image.config);
    });

    it('once for each content, into a folder that is the caller\u2019s alone', async () => {
      const image = await openParts(parts);
      const before = statSync(image.root).ino;
      expect((await open('./image.tar')).root).toBe(image.root);
      utimesSync(join(place, 'image.tar'), new Date(), new Date());
      const again = await open('./image.tar');
      expect(statSync(again.root).ino).toBe(before);
      expect(statSync(folder).mode & 0o777).toBe(0o700);
      expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
    });

    it('by several runs at once, which get the same image', async () => {
      writeFileSync(join(place, 'image.tar'), ociArchive(parts));
      const images = await Promise.all([1, 2, 3].map(() => open('./image.tar')));
      expect(new Set(images.map(({ root }) => root)).size).toBe(1);
      expect(listStoredImages(folder)).toHaveLength(1);
      expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
    });

    it('and removed, closed folders too', async () => {
      const image = await openParts(parts);
      removeStoredImage(folder, image.digest);
      expect(listStoredImages(folder)).toEqual([]);
      expect(readdirSync(folder)).toEqual([]);
      expect((await open('./image.tar')).digest).toBe(image.digest);
    });

    it('and what a killed unpack left counts for nothing, and goes after a day', async () => {
      const left = join(folder, '.unfinished-left');
      mkdirSync(join(left, 'rootfs'), { recursive: true });
      const image = await openParts(parts);
      expect(listStoredImages(folder)).toHaveLength(1);
      expect(existsSync(left)).toBe(true);
      const past = new Date(Date.now() - 2 * 24 * 60 * 60_000);
      utimesSync(left, past, past);
      removeStoredImage(folder, image.digest);
      await open('./image.tar');
      expect(existsSync(left)).toBe(false);
    });

    it('unless the content is not what its digest says', async () => {
      const bytes = ociArchive(parts);
      const at = bytes.indexOf('two');
      bytes.write('bad', at);
      writeFileSync(join(place, 'image.tar'), bytes);
      await expect(open('./image.tar')).rejects.toMatchObject({ code: 'image-failed' });
      expect(listStoredImages(folder)).toEqual([]);
      expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
    });

    it('unless it is for another processor', async () => {
      const failing = openParts({ ...parts, whole: { architecture: 's390x' } });
      await expect(failing).rejects.toMatchObject({ code: 'image-invalid' });
    });
  },
);

describe.skipIf(missing.length > 0)(
  'an image of hostile layers touches nothing outside its own folder',
  () => {
    const outside = () => join(place, 'outside');
    beforeEach(() => {
      mkdirSync(outside());
      writeFileSync(join(outside(), 'file'), 'before', { mode: 0o600 });
    });
    const untouched = () => {
      expect(readdirSync(outside())).toEqual(['file']);
      expect(readFileSync(join(outside(), 'file'), 'utf8')).toBe('before');
      expect(statSync(join(outside(), 'file')).mode & 0o7777).toBe(0o600);
      expect(statSync(join(outside(), 'file')).nlink).toBe(1);
    };
    const up = '../../../../../../../../../../../..';

    it.each<readonly [string, () => readonly Member[]]>([
      ['a name that climbs', () => [{ name: `${up}${outside()}/new`, content: 'x' }]],
      ['an absolute name', () => [{ name: `${outside()}/new`, content: 'x' }]],
      [
        'a file through a symlink',
        () => [
          { name: 'link', type: 'symlink', to: outside() },
          { name: 'link/new', content: 'x' },
          { name: 'link/file', content: 'x' },
        ],
      ],
      [
        'a file over a symlink',
        () => [
          { name: 'link', type: 'symlink', to: `${outside()}/file` },
          { name: 'link', content: 'x' },
        ],
      ],
      ['a hard link to outside', () => [{ name: 'hard', type: 'hardlink', to: `${up}${outside()}/file` }]],
      ['an absolute hard link', () => [{ name: 'hard', type: 'hardlink', to: `${outside()}/file` }]],
      [
        'a hard link through a symlink, opened to all',
        () => [
          { name: 'link', type: 'symlink', to: outside() },
          { name: 'hard', type: 'hardlink', to: 'link/file' },
          { name: 'hard', content: 'x', mode: 0o4777 },
        ],
      ],
      [
        'a whiteout through a symlink',
        () => [
          { name: 'link', type: 'symlink', to: outside() },
          { name: 'link/.wh.file', content: '' },
        ],
      ],
      [
        'an opaque whiteout through a symlink',
        () => [
          { name: 'link', type: 'symlink', to: outside() },
          { name: 'link/.wh..wh..opq', content: '' },
        ],
      ],
      ['a whiteout of the parent', () => [{ name: '.wh...', content: '' }]],
    ])('%s', async (_, members) => {
      await openParts(layer(...members())).catch((error: unknown) => {
        expect(error).toMatchObject({ code: expect.stringMatching(/^image-/) });
      });
      await openParts({ layers: [members().slice(0, 1), members().slice(1)] }).catch(() => {});
      untouched();
    });

    it('and leaves no device, FIFO or setuid program', async () => {
      const image = await openParts(
        layer(
          { name: 'null', type: 'character' },
          { name: 'disk', type: 'block' },
          { name: 'fifo', type: 'fifo' },
          { name: 'su', content: 'x', mode: 0o6755 },
          { name: 'dir/', type: 'folder', mode: 0o7777 },
        ),
      );
      for (const name of readdirSync(image.root)) {
        const stat = lstatSync(join(image.root, name));
        expect([name, stat.isFile() || stat.isDirectory(), stat.mode & 0o7000]).toEqual([name, true, 0]);
        expect(stat.uid).toBe(process.getuid?.());
      }
    });

    it.each<readonly [string, Readonly<Record<string, unknown>>]>([
      ['a NUL', { Env: ['A=\0'] }],
      ['a number', { Cmd: [1] }],
      ['a climbing working directory', { WorkingDir: '/srv/../..' }],
      ['a relative one', { WorkingDir: 'srv' }],
      ['a user of several lines', { User: 'a\nb' }],
      ['a text for a list', { Entrypoint: '/bin/sh' }],
    ])('and %s in its configuration is refused', async (_, config) => {
      await expect(openParts({ layers: [[]], config })).rejects.toMatchObject({
        code: expect.stringMatching(/^image-/),
      });
    });
  },
);

describe('what --image names is told by what stands there', () => {
  it('a folder, a layout, archives by their members, and what is none', () => {
    mkdirSync(join(place, 'root'));
    writeLayout(join(place, 'layout'), { layers: [] });
    writeFileSync(join(place, 'oci.tar'), ociArchive({ layers: [[]] }));
    writeFileSync(join(place, 'docker.tar'), dockerArchive({ layers: [[]] }));
    writeFileSync(join(place, 'other.tar'), tar([{ name: 'file', content: 'x' }]));
    writeFileSync(join(place, 'short'), 'x');
    const kinds = ['root', 'layout', 'oci.tar', 'docker.tar', 'other.tar', 'short', 'no'].map((name) =>
      lookAtPath(join(place, name)),
    );
    expect(kinds).toEqual([
      'folder',
      'oci-layout',
      'oci-archive',
      'docker-archive',
      'file',
      'file',
      'absent',
    ]);
  });
});
