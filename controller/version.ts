/** The version of this package, read from its own manifest: beside the sources, or one folder above the bundle. */
import { readFileSync } from 'node:fs';

export const VERSION: string = (() => {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const version =
    typeof manifest === 'object' && manifest !== null ? Reflect.get(manifest, 'version') : undefined;
  return typeof version === 'string' ? version : 'unknown';
})();
