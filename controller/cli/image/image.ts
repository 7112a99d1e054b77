/** `sand image`: what it prints. Listing, fetching and removing are the keeper's of the backend, see `controller/images/prepared.ts`. */
import { homedir } from 'node:os';
import { type Column, formatColumns, PLAIN } from '../../../audit/columns.ts';
import { escapeTerminal } from '../../../audit/escape.ts';
import { imageKeeperOf } from '../../backends/registry.ts';
import { parsePlatform } from '../../images/platform-flag.ts';
import type { ImageSurroundings, KeptImage } from '../../images/prepared.ts';
import { workingFolder } from '../../run/workspace.ts';

export interface ImageContext {
  readonly backend: string;
  readonly json: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly write: (text: string) => void;
}

/** Enough to tell images apart, and what `sand image rm` takes. */
const SHOWN_DIGITS = 12;

export async function imageList(context: ImageContext): Promise<number> {
  const { backend, json, write } = context;
  const keeper = await imageKeeperOf(backend);
  const images = await keeper.list(surroundings(context));
  if (json) write(`${JSON.stringify(images)}\n`);
  else write(images.length === 0 ? `no image is kept for ${backend}\n` : formatImages(images));
  return 0;
}

const COLUMNS: readonly Column<KeptImage>[] = [
  { align: 'left', title: 'digest', cell: ({ digest }) => shown(digest) },
  { align: 'left', title: 'image', cell: ({ name }) => name },
  {
    align: 'left',
    title: 'platform',
    cell: ({ platforms }) => platforms.map((one) => one.replace(/^linux\//, '')).join(','),
  },
  { align: 'left', title: 'date', cell: ({ date }) => date },
  {
    align: 'left',
    title: 'runs',
    cell: ({ config }) => (config === null ? '' : [...config.entrypoint, ...config.cmd].join(' ')),
  },
];

function formatImages(images: readonly KeptImage[]): string {
  return formatColumns(COLUMNS, images, PLAIN);
}

export async function imagePull(
  name: string,
  context: ImageContext & { readonly platform: string | undefined },
): Promise<number> {
  const { backend, platform } = context;
  const wanted = platform === undefined ? null : parsePlatform(platform);
  const keeper = await imageKeeperOf(backend);
  tell([await keeper.pull(name, wanted, surroundings(context))], context);
  return 0;
}

export async function imageImport(text: string, context: ImageContext): Promise<number> {
  const keeper = await imageKeeperOf(context.backend);
  tell(await keeper.bringIn(text, surroundings(context)), context);
  return 0;
}

/** The digest for who goes on with it, the name for who reads. */
function tell(images: readonly KeptImage[], { json, write }: ImageContext): void {
  if (json) write(`${JSON.stringify(images)}\n`);
  else write(images.map(({ digest, name }) => `${digest} ${escapeTerminal(name)}\n`).join(''));
}

export async function imageRemove(texts: readonly string[], context: ImageContext): Promise<number> {
  const keeper = await imageKeeperOf(context.backend);
  const removed = await keeper.remove(texts, surroundings(context));
  if (context.json) context.write(`${JSON.stringify(removed)}\n`);
  else
    for (const { digest, name } of removed)
      context.write(`removed ${shown(digest)} ${escapeTerminal(name)}\n`);
  return 0;
}

function shown(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, SHOWN_DIGITS);
}

/** What happens is told on the standard error, since the output is for programs as well. */
export function surroundings({ env }: Pick<ImageContext, 'env'>): ImageSurroundings {
  return {
    cwd: workingFolder(),
    home: env.HOME ?? homedir(),
    environ: env,
    told: () => {},
    say: (message) => void process.stderr.write(`sand: ${escapeTerminal(message)}\n`),
  };
}
