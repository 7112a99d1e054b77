/** `sand image`: what it prints. Reading, unpacking and removing are `controller/images/`. */
import { homedir } from 'node:os';
import { type Column, formatColumns, PLAIN } from '../../../audit/columns.ts';
import { SandError } from '../../errors.ts';
import { lookAtPath } from '../../images/image-source.ts';
import { parseImageReference, pullHint } from '../../images/reference.ts';
import {
  findStoredImage,
  imagesFolder,
  listStoredImages,
  removeStoredImage,
  type StoredImage,
} from '../../images/store.ts';
import { openImage } from '../../images/unpack.ts';
import { workingFolder } from '../../run/workspace.ts';

export interface ImageContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly write: (text: string) => void;
}

/** Enough to tell images apart, and what `sand image rm` takes. */
const SHOWN_DIGITS = 12;

export function imageList({ env, write, json }: ImageContext & { readonly json: boolean }): number {
  const images = listStoredImages(folderOf(env));
  if (json) {
    write(`${JSON.stringify(images.map(described))}\n`);
    return 0;
  }
  const columns: readonly Column<StoredImage>[] = [
    { align: 'left', title: 'digest', cell: (image) => image.digest.slice(0, SHOWN_DIGITS) },
    { align: 'left', title: 'image', cell: (image) => image.name },
    { align: 'left', title: 'unpacked', cell: (image) => image.unpackedAt },
    {
      align: 'left',
      title: 'runs',
      cell: (image) => [...image.config.entrypoint, ...image.config.cmd].join(' '),
    },
  ];
  write(images.length === 0 ? 'no image is unpacked here\n' : formatColumns(columns, images, PLAIN));
  return 0;
}

function described({ digest, name, unpackedAt, config, root }: StoredImage) {
  return { digest, name, unpackedAt, config, root };
}

export async function imageImport(text: string, { env, write }: ImageContext): Promise<number> {
  const reference = parseImageReference(text, workingFolder(), lookAtPath);
  if (reference.kind === 'directory') {
    throw new SandError(
      'usage',
      `${text} is a folder, which is used where it lies`,
      `write sand run --image ${text} -- CMD`,
    );
  }
  const told = () => {};
  const image = await openImage({ reference, text, folder: folderOf(env), environ: env, told });
  write(`${image.digest}\n`);
  return 0;
}

export function imageRemove(names: readonly string[], { env, write }: ImageContext): number {
  const folder = folderOf(env);
  for (const { digest, name } of names.map((text) => findStoredImage(folder, text))) {
    removeStoredImage(folder, digest);
    write(`removed ${digest.slice(0, SHOWN_DIGITS)} ${JSON.stringify(name)}\n`);
  }
  return 0;
}

export function imagePull(name: string): never {
  throw new SandError('usage', `sand pulls no image (${name})`, pullHint(name));
}

function folderOf(env: ImageContext['env']): string {
  return imagesFolder(env, env.HOME ?? homedir());
}
