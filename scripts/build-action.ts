/**
 * Bundles the GitHub Action into action/dist/ (or the folder that is named), which is committed: `uses:` runs what is in the
 * repository. Not minified, so that a change of it can be read; the same sources make the same bytes.
 */
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const ROOT = new URL('..', import.meta.url).pathname;
const DIST = resolve(process.argv[2] ?? join(ROOT, 'action/dist'));

rmSync(DIST, { recursive: true, force: true });
await build({
  absWorkingDir: ROOT,
  entryPoints: { index: 'action/main.ts', post: 'action/post.ts', shell: 'action/shell.ts' },
  outdir: DIST,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  legalComments: 'none',
  banner: { js: '// Made of the sources in action/ by `npm run build:action`.' },
  logLevel: 'warning',
});
