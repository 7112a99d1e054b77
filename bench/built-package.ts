/** Builds the package and lays it out as npm would unpack it: without the sources, so that dist/ is what runs. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = new URL('..', import.meta.url).pathname;

/** Gives the path of the `sand` command below `folder`. */
export function buildPackage(folder: string): string {
  execFileSync(process.execPath, [join(ROOT, 'scripts/build.ts')], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}` },
  });
  const place = join(folder, 'package');
  mkdirSync(join(place, 'controller'), { recursive: true });
  for (const name of ['package.json', 'dist', 'controller/bin'])
    cpSync(join(ROOT, name), join(place, name), { recursive: true });
  return join(place, 'controller/bin/sand.js');
}
