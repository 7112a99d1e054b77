/** Where the script and the style of a page come from: files of the package, or in a clone the sources. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { PageEntry } from './bundle.ts';
import type { PageAssets } from './render.ts';

/** Beside the bundle of the program; nothing of that name lies beside this source. */
const BUILT = new URL('./page/', import.meta.url);

export async function loadAssets(entry: PageEntry): Promise<PageAssets> {
  const script = new URL(`${entry}.js`, BUILT);
  if (!existsSync(script)) {
    const { bundleScript, bundleStyle } = await import('./bundle.ts');
    const [scriptText, style] = await Promise.all([bundleScript(entry), bundleStyle()]);
    return { script: scriptText, style };
  }
  const [scriptText, style] = await Promise.all([
    readFile(script, 'utf8'),
    readFile(new URL('page.css', BUILT), 'utf8'),
  ]);
  return { script: scriptText, style };
}
