/**
 * The script and the style of a page out of their sources: for the package once, when it is built, and in a clone
 * each time that a page is made.
 */
import { build } from 'esbuild';

/** The entry of each kind of page, in `client/`. */
export const PAGE_ENTRIES = ['report', 'live'] as const;
export type PageEntry = (typeof PAGE_ENTRIES)[number];

/** `page` is of every page, `live` is what a live one has besides. */
export const PAGE_SHEETS = ['page', 'live'] as const;
export type PageSheet = (typeof PAGE_SHEETS)[number];

const CLIENT = new URL('./client/', import.meta.url).pathname;

export async function bundleScript(entry: PageEntry): Promise<string> {
  return bundle(`${CLIENT}${entry}.ts`, { format: 'iife', target: 'es2024' });
}

export async function bundleStyle(sheet: PageSheet): Promise<string> {
  return bundle(`${CLIENT}${sheet}.css`, { target: ['chrome123', 'firefox120', 'safari17.5'] });
}

async function bundle(
  path: string,
  options: { readonly format?: 'iife'; readonly target: string | string[] },
): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [path],
    bundle: true,
    write: false,
    minify: true,
    charset: 'ascii',
    legalComments: 'none',
    logLevel: 'silent',
    ...options,
  });
  const text = outputFiles[0]?.text ?? '';
  // An end tag in a string would end the element that the text stands in.
  if (/<\/(?:script|style)|<!--/i.test(text))
    throw new RangeError(`${path} holds markup that ends its element`);
  return text;
}
