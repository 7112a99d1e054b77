/**
 * A program of the benchmarks made of sand's sources, as one file of JavaScript: run as TypeScript, it would carry
 * Node's type stripper in its memory.
 */
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

const ROOT = new URL('..', import.meta.url).pathname;

/** Bundles into `folder`, with sand's policy data beside it; gives the path of the program. */
export async function bundleProgram(path: string, folder: string): Promise<string> {
  const place = join(folder, 'programs');
  const program = join(place, basename(path).replace(/\.ts$/, '.js'));
  await build({
    entryPoints: [path],
    outfile: program,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node24',
    logLevel: 'warning',
  });
  mkdirSync(place, { recursive: true });
  if (!existsSync(join(place, 'node_modules'))) {
    symlinkSync(join(ROOT, 'node_modules'), join(place, 'node_modules'));
    cpSync(join(ROOT, 'policies/presets'), join(place, 'presets'), { recursive: true });
  }
  return program;
}
