/** Which kept image a person means: by its name or the beginning of its digest. Pure. */
import { SandError } from '../errors.ts';
import type { KeptImage } from './prepared.ts';

/** Raises `image-missing`, also where several are meant. `names`: all that an image may be called, of what the person wrote. */
export function findKept(
  images: readonly KeptImage[],
  text: string,
  names: readonly string[] = [text],
): KeptImage {
  const wanted = text.replace(/^sha256:/, '');
  const isPart = /^[0-9a-f]{6,64}$/.test(wanted);
  const found = images.filter(
    ({ name, digest }) =>
      names.includes(name) || (isPart && digest.replace(/^sha256:/, '').startsWith(wanted)),
  );
  const [image] = found;
  if (image !== undefined && found.length === 1) return image;
  throw new SandError(
    'image-missing',
    found.length > 1
      ? `${text} means ${found.length} images: ${found.map(({ name }) => name).join(', ')}`
      : `no image here is called ${text}`,
    'see `sand image ls`, and give the name or the digest',
  );
}
