/**
 * A path inside an image, whose symlinks are anybody's making: resolved as the kernel would with the image as
 * root, so that it never leads out. Whoever mounts or reads below an image's root comes through here first,
 * since bubblewrap follows links in a mount's place with the host in reach. Pure.
 */
import { IMAGE_LIMITS } from './limits.ts';

export type ImageEntry =
  | { readonly kind: 'folder' }
  | { readonly kind: 'file' }
  | { readonly kind: 'other' }
  | { readonly kind: 'link'; readonly value: string };

/** What stands at a path of the image that holds no link but perhaps in its last part; null for nothing. */
export type LookInImage = (path: string) => ImageEntry | null;

export interface ImagePlace {
  /** Absolute in the image, with no link in any part. */
  readonly path: string;
  readonly entry: Exclude<ImageEntry, { readonly kind: 'link' }> | null;
}

/** Null where it leads through a file or through more links than the kernel follows. */
export function resolveInImage(path: string, look: LookInImage): ImagePlace | null {
  const open = path.split('/').reverse();
  const done: string[] = [];
  let links = 0;
  let entry: ImagePlace['entry'] = { kind: 'folder' };
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      // The root's parent is the root, as for every process in it.
      done.pop();
      entry = { kind: 'folder' };
      continue;
    }
    if (entry !== null && entry.kind !== 'folder') return null;
    const here: string = `/${[...done, part].join('/')}`;
    if (here.length >= IMAGE_LIMITS.pathBytes) return null;
    const found: ImageEntry | null = entry === null ? null : look(here);
    if (found?.kind === 'link') {
      links += 1;
      if (links > IMAGE_LIMITS.links) return null;
      if (found.value.startsWith('/')) done.length = 0;
      open.push(...found.value.split('/').reverse());
      entry = { kind: 'folder' };
      continue;
    }
    done.push(part);
    entry = found;
  }
  return { path: `/${done.join('/')}`, entry };
}
