import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ImageEntry, type LookInImage, resolveInImage } from '../../../controller/images/image-path.ts';

const tree =
  (entries: Readonly<Record<string, ImageEntry>>): LookInImage =>
  (path) =>
    entries[path] ?? null;
const FOLDER = { kind: 'folder' } as const;
const FILE = { kind: 'file' } as const;
const link = (value: string) => ({ kind: 'link', value }) as const;

/** What of it could be in a file system: below folders alone. */
function rooted(entries: Readonly<Record<string, ImageEntry>>): Readonly<Record<string, ImageEntry>> {
  return Object.fromEntries(
    Object.entries(entries).filter(([path]) => {
      const parts = path.split('/').slice(1, -1);
      return parts.every((_, at) => entries[`/${parts.slice(0, at + 1).join('/')}`]?.kind === 'folder');
    }),
  );
}

describe('resolveInImage', () => {
  it('keeps a plain path, whether or not something is there', () => {
    const look = tree({ '/etc': FOLDER, '/etc/passwd': FILE });
    expect(resolveInImage('/etc/passwd', look)).toEqual({ path: '/etc/passwd', entry: FILE });
    expect(resolveInImage('/no/such/place', look)).toEqual({ path: '/no/such/place', entry: null });
    expect(resolveInImage('/', look)).toEqual({ path: '/', entry: FOLDER });
  });

  it('follows links in every part, relative and absolute, inside the image', () => {
    const look = tree({
      '/var': FOLDER,
      '/var/run': link('../run'),
      '/run': FOLDER,
      '/etc': FOLDER,
      '/etc/resolv.conf': link('/var/run/resolv.conf'),
    });
    expect(resolveInImage('/etc/resolv.conf', look)).toEqual({ path: '/run/resolv.conf', entry: null });
  });

  it.each(['/oldroot/etc', '../../../../oldroot/etc', '/../..//oldroot/./etc'])(
    'never leads out: %s',
    (value) => {
      const look = tree({ '/tmp': link(value), '/oldroot': FOLDER, '/oldroot/etc': FOLDER });
      expect(resolveInImage('/tmp', look)?.path).toBe('/oldroot/etc');
    },
  );

  it('gives up on a circle of links', () => {
    expect(resolveInImage('/a', tree({ '/a': link('b'), '/b': link('a') }))).toBeNull();
    expect(resolveInImage('/a', tree({ '/a': link('a/a') }))).toBeNull();
  });

  it('goes through no file', () => {
    expect(resolveInImage('/a/b', tree({ '/a': FILE }))).toBeNull();
    expect(resolveInImage('/a/b', tree({ '/a': { kind: 'other' } }))).toBeNull();
  });

  it('gives, of any tree of links, a path without links, or none', () => {
    const part = fc.constantFrom('a', 'b', '..', '.', '');
    const path = fc.array(part, { maxLength: 5 }).map((parts) => `/${parts.join('/')}`);
    const entry = fc.oneof(
      fc.constant<ImageEntry>(FOLDER),
      fc.constant<ImageEntry>(FILE),
      fc
        .oneof(
          path,
          path.map((text) => text.slice(1)),
        )
        .map((value): ImageEntry => link(value)),
    );
    fc.assert(
      fc.property(fc.dictionary(path, entry, { maxKeys: 8 }), path, (drawn, wanted) => {
        const look = tree(rooted(drawn));
        const place = resolveInImage(wanted, look);
        if (place === null) return;
        const parts = place.path.split('/').filter((name) => name !== '');
        expect(parts.includes('..')).toBe(false);
        parts.forEach((_, at) => {
          expect(look(`/${parts.slice(0, at + 1).join('/')}`)?.kind).not.toBe('link');
        });
      }),
    );
  });
});
