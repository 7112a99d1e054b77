/**
 * Builds the package and lays it out as npm would unpack it: without the sources, so that dist/ is what runs. The
 * build works on a copy, so that a build of somebody else's at the same time is not in its way.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = new URL('..', import.meta.url).pathname;
/** What the build reads. */
const SOURCES: readonly string[] = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'index.ts',
  'policies',
  'audit',
  'dns',
  'proxy',
  'controller',
  'scripts',
];
const SHIPPED: readonly string[] = ['package.json', 'dist', 'controller/bin'];

/** Gives the path of the `sand` command below `folder`. */
export function buildPackage(folder: string): string {
  const copy = join(folder, 'sources');
  mkdirSync(copy);
  for (const name of SOURCES) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  execFileSync(process.execPath, [join(copy, 'scripts/build.ts')], {
    cwd: copy,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}` },
  });
  const place = join(folder, 'package');
  mkdirSync(join(place, 'controller'), { recursive: true });
  for (const name of SHIPPED) cpSync(join(copy, name), join(place, name), { recursive: true });
  rmSync(copy, { recursive: true });
  return join(place, 'controller/bin/sand.js');
}
