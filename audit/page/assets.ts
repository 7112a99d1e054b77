/** Where the script and the style of a page come from: files of the package, or in a clone the sources. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { PageEntry, PageSheet } from './bundle.ts';
import type { PageAssets } from './render.ts';

/** Beside the bundle of the program; nothing of that name lies beside this source. */
const BUILT = new URL('./page/', import.meta.url);

export async function loadAssets(entry: PageEntry): Promise<PageAssets> {
  const sheets: readonly PageSheet[] = entry === 'live' ? ['page', 'live'] : ['page'];
  const script = new URL(`${entry}.js`, BUILT);
  if (!existsSync(script)) {
    const { bundleScript, bundleStyle } = await import('./bundle.ts');
    const [scriptText, ...styles] = await Promise.all([bundleScript(entry), ...sheets.map(bundleStyle)]);
    return { script: scriptText, style: styles.join('') };
  }
  const [scriptText = '', ...styles] = await Promise.all(
    [script, ...sheets.map((sheet) => new URL(`${sheet}.css`, BUILT))].map((url) => readFile(url, 'utf8')),
  );
  return { script: scriptText, style: styles.join('') };
}
